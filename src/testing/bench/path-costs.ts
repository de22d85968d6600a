/**
 * What transfers cost between two moments: processor time and writes by process, PostgreSQL's and the
 * broker's counters. What a machine cannot count is NaN.
 */
import { topics } from '../../contract/events/events.ts'
import type { PathStack } from './path-stack.ts'
import { bytesWrittenBy, listProcesses, machineMicros, treeOf } from './processes.ts'

/** By name, in the order of the table. */
export type Figures = Map<string, number>

/** Of whom processor time and writes are. PostgreSQL's processes by their connections. */
const parts = [
  'wallet',
  'wallet PG',
  'relay PG',
  'broker',
  'balances',
  'balances PG',
  'PG background',
] as const
type Part = (typeof parts)[number]

type Usage = { part: Part; micros: number; written: number }
type Reading = {
  at: number
  byPid: Map<number, Usage>
  /** Of server processes that have ended. */
  endedMicros: number
  machineMicros: number
  /** Of this process and all below it. */
  ownMicros: number
  counters: Record<string, number>
  wire: Wire
}
/** Bytes by connection of the broker. */
type Wire = Map<string, { received: number; sent: number }>

export class CostMeter {
  readonly #stack: PathStack
  readonly #begun: Reading
  readonly #syncs: SyncCounter[]

  private constructor(stack: PathStack, begun: Reading, syncs: SyncCounter[]) {
    this.#stack = stack
    this.#begun = begun
    this.#syncs = syncs
  }

  static async start(stack: PathStack): Promise<CostMeter> {
    const { broker, postmaster } = stack.pids
    const postgres = treeOf(postmaster).map(({ pid }) => pid)
    const syncs = [countSyncs('fsyncs, PostgreSQL', postgres), countSyncs('fsyncs, broker', [broker])]
    // Until the counters are attached.
    await Bun.sleep(200)
    return new CostMeter(stack, await read(stack), syncs)
  }

  /** Per transfer, of `done` since the start. */
  async end(done: number): Promise<Figures> {
    const [begun, ended] = [this.#begun, await read(this.#stack)]
    const figures: Figures = new Map()
    const { micros, written } = usageBetween(begun, ended)
    const sum = (values: Map<Part, number>) => [...values.values()].reduce((total, value) => total + value, 0)
    figures.set('µs, all', sum(micros) / done)
    for (const [part, value] of micros) figures.set(`µs, ${part}`, value / done)
    figures.set('bytes written, all', sum(written) / done)
    for (const [part, value] of written) figures.set(`bytes written, ${part}`, value / done)
    for (const [name, value] of Object.entries(ended.counters))
      figures.set(name, (value - (begun.counters[name] ?? Number.NaN)) / done)
    for (const { name, end } of this.#syncs) figures.set(name, (await end()) / done)
    for (const [name, value] of wireBetween(begun.wire, ended.wire)) figures.set(name, value / done)
    const others = ended.machineMicros - begun.machineMicros - (ended.ownMicros - begun.ownMicros)
    const available = (ended.at - begun.at) * 1000 * navigator.hardwareConcurrency
    figures.set("others' share of the machine, %", (100 * others) / available)
    return figures
  }
}

async function read(stack: PathStack): Promise<Reading> {
  const { pids, admin, kafka } = stack
  const ends = await kafka.endOffsets([...topics])
  const [row] = await admin<Record<string, number>[]>`
    select
      pg_current_wal_insert_lsn() - '0/0' as "bytes of WAL",
      (select wal_fpi from pg_stat_wal) as "full pages in WAL",
      ${commitsOf('wallet')}::float as "commits, wallet",
      ${commitsOf('balances')}::float as "commits, balances"`.then((rows) =>
    rows.map((each) =>
      Object.fromEntries(Object.entries(each).map(([name, value]) => [name, Number(value)])),
    ),
  )
  function commitsOf(name: string) {
    return admin`(select xact_commit from pg_stat_database where datname = ${name})`
  }
  const sessions = await admin<{ pid: number; database: string; application: string }[]>`
    select pid, datname as database, application_name as application from pg_stat_activity
    where datname is not null`
  const partOfSession = new Map(sessions.map(({ pid, ...session }) => [pid, partOf(session)]))
  const processes = listProcesses()
  const byPid = new Map<number, Usage>()
  const note = (pid: number, micros: number, part: Part | undefined) =>
    part && byPid.set(pid, { part, micros, written: bytesWrittenBy(pid) })
  for (const { pid, parent, micros } of processes) {
    if (pid === pids.wallet) note(pid, micros, 'wallet')
    else if (pid === pids.balances) note(pid, micros, 'balances')
    else if (pid === pids.broker) note(pid, micros, 'broker')
    else if (pid === pids.postmaster) note(pid, micros, 'PG background')
    else if (parent === pids.postmaster)
      note(pid, micros, partOfSession.has(pid) ? partOfSession.get(pid) : 'PG background')
  }
  const own = treeOf(process.pid, processes)
  return {
    at: performance.now(),
    byPid,
    endedMicros: processes.find(({ pid }) => pid === pids.postmaster)?.endedMicros ?? Number.NaN,
    machineMicros: machineMicros(),
    ownMicros: own.reduce((sum, { micros, endedMicros }) => sum + micros + endedMicros, 0),
    counters: {
      'records, all topics': Number(ends.reduce((sum, { offset }) => sum + offset, 0n)),
      ...row,
    },
    wire: readWire(stack.brokerPort),
  }
}

/** Undefined for sessions of the bench itself. */
function partOf({ database, application }: { database: string; application: string }): Part | undefined {
  if (!application.startsWith('saldo')) return undefined
  if (database === 'balances') return 'balances PG'
  return application === 'saldo-relay' ? 'relay PG' : 'wallet PG'
}

/** Sessions that ended in between count as background, as their connections are no longer known. */
function usageBetween(begun: Reading, ended: Reading) {
  const micros = new Map<Part, number>(parts.map((part) => [part, 0]))
  const written = new Map<Part, number>(parts.map((part) => [part, 0]))
  const add = (to: Map<Part, number>, part: Part, value: number) => to.set(part, (to.get(part) ?? 0) + value)
  for (const [pid, usage] of ended.byPid) {
    const before = begun.byPid.get(pid)
    add(micros, usage.part, usage.micros - (before?.micros ?? 0))
    add(written, usage.part, usage.written - (before?.written ?? 0))
  }
  const gone = [...begun.byPid].filter(([pid]) => !ended.byPid.has(pid))
  const goneMicros = gone.reduce((sum, [, usage]) => sum + usage.micros, 0)
  add(micros, 'PG background', Math.max(0, ended.endedMicros - begun.endedMicros - goneMicros))
  return { micros, written }
}

/** Empty without `ss`. */
function readWire(port: number): Wire {
  if (!Bun.which('ss')) return new Map()
  const { stdout } = Bun.spawnSync(['ss', '-tinH', 'state', 'established', `( sport = :${port} )`])
  const text = stdout.toString()
  const lines = text.split('\n')
  return new Map(
    lines.flatMap((line, index) => {
      const peer = /\S+:\d+\s+(\S+:\d+)/.exec(line)?.[1]
      const details = lines[index + 1] ?? ''
      const count = (name: string) => Number(new RegExp(`${name}:(\\d+)`).exec(details)?.[1] ?? 0)
      return peer && !/^\s/.test(line)
        ? [[peer, { received: count('bytes_received'), sent: count('bytes_sent') }] as const]
        : []
    }),
  )
}

function wireBetween(begun: Wire, ended: Wire): [string, number][] {
  const since = (direction: 'received' | 'sent') =>
    ended.size === 0
      ? Number.NaN
      : [...ended].reduce((sum, [peer, at]) => sum + at[direction] - (begun.get(peer)?.[direction] ?? 0), 0)
  return [
    ['bytes to the broker', since('received')],
    ['bytes from the broker', since('sent')],
  ]
}

type SyncCounter = { name: string; end(): Promise<number> }

/** Counts with `perf`, which costs the processes next to nothing; NaN without it or its rights. */
function countSyncs(name: string, pids: number[]): SyncCounter {
  if (!Bun.which('perf')) return { name, end: async () => Number.NaN }
  const events = ['fsync', 'fdatasync'].map((call) => `syscalls:sys_enter_${call}`).join()
  const child = Bun.spawn(['perf', 'stat', '-x,', '-e', events, '-p', pids.join()], {
    env: { ...process.env, LC_ALL: 'C' },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  return {
    name,
    async end() {
      child.kill('SIGINT')
      const text = await new Response(child.stderr).text()
      const counts = [...text.matchAll(/^(\d+),,syscalls/gm)].map(([, count]) => Number(count))
      return counts.length === 2 ? counts.reduce((sum, count) => sum + count, 0) : Number.NaN
    },
  }
}
