/**
 * Processor time, memory and writes of processes, as /proc shows them. On Linux only: elsewhere there are no
 * processes, and figures are NaN.
 */
import { readdirSync, readFileSync } from 'node:fs'

export type Process = {
  pid: number
  parent: number
  /** Processor time of the process itself, in microseconds. */
  micros: number
  /** Of its children that have ended, with theirs. */
  endedMicros: number
}

/** The kernel's clock tick in /proc. */
const microsPerTick = 10_000

export function listProcesses(): Process[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? [])
}

function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15)
    return {
      pid,
      parent: fields[1] ?? 0,
      micros: (user + system) * microsPerTick,
      endedMicros: (endedUser + endedSystem) * microsPerTick,
    }
  } catch {
    // It has ended meanwhile.
    return undefined
  }
}

/** The process and all below it. */
export function treeOf(pid: number, processes = listProcesses()): Process[] {
  const children = Map.groupBy(processes, ({ parent }) => parent)
  const tree: Process[] = processes.filter((each) => each.pid === pid)
  for (const each of tree) tree.push(...(children.get(each.pid) ?? []))
  return tree
}

/** Processor time of the process itself, in microseconds. */
export const cpuMicrosOf = (pid: number): number => readProcess(pid)?.micros ?? Number.NaN

export const residentMegabytesOf = (pid: number): number => readMegabytes(pid, 'VmRSS')

export const peakMegabytesOf = (pid: number): number => readMegabytes(pid, 'VmHWM')

const readMegabytes = (pid: number, name: 'VmRSS' | 'VmHWM'): number =>
  readOr(Number.NaN, () => {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024
  })

/** Its arguments, separated by spaces. A PostgreSQL process has what it does there. */
export function commandOf(pid: number): string {
  return readOr('', () => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '))
}

export function environmentOf(pid: number): string[] {
  return readOr([], () => readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0'))
}

/** Bytes that the process caused to be written to the disk. */
export function bytesWrittenBy(pid: number): number {
  return readOr(Number.NaN, () =>
    Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1]),
  )
}

/** Processor time of the whole machine that was not idle, in microseconds. */
export function machineMicros(): number {
  return readOr(Number.NaN, () => {
    const [user = 0, nice = 0, system = 0, , , interrupts = 0, soft = 0] = (
      readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? ''
    )
      .split(/\s+/)
      .slice(1)
      .map(Number)
    return (user + nice + system + interrupts + soft) * microsPerTick
  })
}

/**
 * Processor time of a PostgreSQL server: of its processes, and of those that have ended. NaN except on
 * Linux.
 */
export function postgresMicrosOf(postmaster: number): number {
  const processes = listProcesses()
  if (processes.length === 0) return Number.NaN
  return processes.reduce((sum, { pid, parent, micros, endedMicros }) => {
    if (pid === postmaster) return sum + micros + endedMicros
    return parent === postmaster ? sum + micros : sum
  }, 0)
}

function readOr<T>(otherwise: T, read: () => T): T {
  try {
    return read()
  } catch {
    return otherwise
  }
}
