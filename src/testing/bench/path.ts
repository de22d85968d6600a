/**
 * The whole path of a transfer, from request to visible balance: `npm start`'s own processes under
 * load, and what a transfer costs until the outbox is empty and the read side has it. Each turn begins
 * from the same data. With `--against` another checkout takes turns with this one.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type LoadAnswer, runLoad } from './ledger-load.ts'
import { plotRates, type Rates } from './ledger-plot.ts'
import { CostMeter, type Figures } from './path-costs.ts'
import { type Reference, startReference } from './path-reference.ts'
import { type Measured, median, type PathCase, reportPath } from './path-report.ts'
import {
  checkPath,
  copyData,
  fillAccounts,
  type PathStack,
  startPath,
  thisCheckout,
  untilConsumed,
  untilSettled,
} from './path-stack.ts'
import { VisibleProbe } from './path-visible.ts'
import { residentMegabytesOf } from './processes.ts'

/** One checkout, with a stopped stack's data to begin from. */
type Side = { name: string; checkout: string; prepared: string; ids: string[]; idsFile: string }

const hot = 10
const referenceMs = 4000
const seconds = (text: string | undefined): number => Number(text) * 1000

export async function benchPath(args: string[]): Promise<void> {
  const plan = readPlan(args)
  const directory = mkdtempSync(join(tmpdir(), 'bench-path-'))
  const ending: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const reference = await startReference(directory)
    if (reference) ending.push(reference.stop)
    const sides: Side[] = []
    for (const [name, checkout] of plan.checkouts)
      sides.push(await prepare(name, checkout, join(directory, name), plan.accounts))
    const all: Measured[] = []
    for (const one of plan.cases) {
      const measured: Measured = { case: one, figures: new Map(sides.map(({ name }) => [name, []])) }
      for (let round = 0; round < plan.rounds; round++) {
        const r = await reference?.measure(referenceMs)
        for (const side of round % 2 ? sides.toReversed() : sides) {
          const data = join(directory, 'turn')
          const figures = await takeTurn(side, data, one, plan)
          rmSync(data, { recursive: true, force: true })
          measured.figures.get(side.name)?.push(withReference(figures, r))
        }
      }
      reportPath(measured)
      all.push(measured)
    }
    if (plan.json) await Bun.write(plan.json, toJson(all))
    if (plan.plot) await Bun.write(plan.plot, plotRates(all.map(toRates)))
  } finally {
    for (const end of ending.toReversed()) await end()
  }
}

type Plan = ReturnType<typeof readPlan>

function readPlan(args: string[]) {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args,
    options: {
      ...{
        connections: text,
        seconds: text,
        accounts: text,
        rounds: text,
        against: text,
        batch: text,
        json: text,
        plot: text,
      },
      ...{ quick: { type: 'boolean' }, hot: { type: 'boolean' }, uniform: { type: 'boolean' } },
    },
  })
  const { quick = false, against } = values
  const short = quick || against !== undefined
  const accounts = Number(values.accounts ?? 10_000)
  const batch = Number(values.batch ?? 1)
  // The batch route refuses more concurrent batches than its queue holds.
  const standard = batch > 1 ? '8' : short ? '64' : '1,8,64,256'
  const connections = (values.connections ?? standard).split(',').map(Number)
  const spreads = [
    ...(values.hot ? [] : [accounts]),
    ...(values.uniform || (short && !values.hot) ? [] : [hot]),
  ]
  const checkouts: [string, string][] = [['this', thisCheckout]]
  if (against !== undefined) checkouts.push(['against', resolve(thisCheckout, against)])
  return {
    ...{ accounts, checkouts, json: values.json, plot: values.plot },
    cases: spreads.flatMap((spread) =>
      connections.map((count) => ({ connections: count, accounts: spread, batch })),
    ),
    rounds: Number(values.rounds ?? (quick ? 1 : against ? 4 : 3)),
    ms: seconds(values.seconds ?? (quick ? '5' : '8')),
    warmMs: quick ? 1500 : 2000,
  }
}

/** A directory with funded accounts, as an orderly stop leaves it. */
async function prepare(name: string, checkout: string, directory: string, accounts: number): Promise<Side> {
  console.log(`preparing ${accounts} accounts with ${checkout}`)
  const prepared = join(directory, 'data')
  const stack = await startPath(checkout, prepared)
  try {
    // A first start opens the accounts of the course.
    const before = await countTransactions(stack)
    const ids = await fillAccounts(stack, accounts)
    await untilConsumed(stack)
    await checkPath(stack, before, accounts)
    const idsFile = join(directory, 'ids.json')
    await Bun.write(idsFile, JSON.stringify(ids))
    return { name, checkout, prepared, ids, idsFile }
  } finally {
    await stack.stop()
  }
}

async function countTransactions({ wallet }: PathStack): Promise<number> {
  const [row] = await wallet<{ count: number }[]>`select count(*)::int as count from transactions`
  return row?.count ?? 0
}

async function takeTurn(side: Side, data: string, one: PathCase, { ms, warmMs }: Plan): Promise<Figures> {
  await copyData(side.prepared, data)
  const stack = await startPath(side.checkout, data)
  try {
    const load = { port: stack.walletPort, ...one, idsFile: side.idsFile }
    const before = await countTransactions(stack)
    const warm = acknowledged(await runLoad({ ...load, ms: warmMs }), one.batch)
    await untilSettled(stack)

    const probe = new VisibleProbe(stack, side.ids.slice(0, one.accounts))
    const isLone = one.connections === 1
    const meter = await CostMeter.start(stack)
    const begun = performance.now()
    if (!isLone) probe.start()
    const answer = await runLoad({ ...load, ms })
    await probe.stop()
    await untilSettled(stack)
    const carriedMs = performance.now() - begun
    const done = acknowledged(answer, one.batch)
    const costs = await meter.end(done + probe.sent)
    // A lone caller's probe would be a second caller.
    if (isLone) await probe.runFor(ms / 2)
    await untilSettled(stack)
    await checkPath(stack, before, warm + done + probe.sent)
    return new Map([
      ['transfers/s, accepted', (done / answer.elapsedMs) * 1000],
      ['transfers/s, carried', ((done + probe.sent) / carriedMs) * 1000],
      ['POST p50, ms', answer.p50],
      ['POST p99, ms', answer.p99],
      ['POST to visible p50, ms', probe.at(0.5)],
      ['POST to visible p99, ms', probe.at(0.99)],
      ...costs,
      ['memory, wallet, MB', residentMegabytesOf(stack.pids.wallet)],
      ['memory, balances, MB', residentMegabytesOf(stack.pids.balances)],
      ['memory, broker, MB', residentMegabytesOf(stack.pids.broker)],
    ])
  } finally {
    await stack.stop()
  }
}

/** Throws unless every response was a 201. */
function acknowledged({ statuses }: LoadAnswer, batch: number): number {
  const { 201: answered = 0, ...others } = statuses
  if (Object.keys(others).length > 0 || answered === 0)
    throw new Error(`transfers were answered ${JSON.stringify(statuses)}`)
  return answered * batch
}

function withReference(figures: Figures, r: Awaited<ReturnType<Reference['measure']>> | undefined): Figures {
  const of = (name: string) => (figures.get(name) ?? Number.NaN) / (r?.perSecond ?? Number.NaN)
  return new Map([
    ['R, transfers/s', r?.perSecond ?? Number.NaN],
    ['accepted, in R', of('transfers/s, accepted')],
    ['carried, in R', of('transfers/s, carried')],
    ...figures,
    ['R, µs', r?.micros ?? Number.NaN],
  ])
}

/** The medians of a case, as lines of the plot. */
function toRates({ case: { accounts, connections }, figures }: Measured): Rates {
  const of = (all: Figures[], name: string) => median(all.map((each) => each.get(name) ?? Number.NaN))
  const lines = [...figures].flatMap(([side, all]): [string, number][] => {
    const suffix = figures.size > 1 ? `, ${side}` : ''
    return [
      [`accepted${suffix}`, of(all, 'transfers/s, accepted')],
      [`visible${suffix}`, of(all, 'transfers/s, carried')],
    ]
  })
  const r = of([...figures.values()].flat(), 'R, transfers/s')
  const all: [string, number][] = [...lines, ['R, 32 clients', r]]
  return { accounts, connections, rates: new Map(all.filter(([, rate]) => Number.isFinite(rate))) }
}

function toJson(all: Measured[]): string {
  const plain = all.map(({ case: one, figures }) => ({
    ...one,
    sides: Object.fromEntries(
      [...figures].map(([side, rounds]) => [side, rounds.map((each) => Object.fromEntries(each))]),
    ),
  }))
  return `${JSON.stringify(plain, null, 2)}\n`
}
