/** `drill`: causes a stuck state on a running `npm start`, and shows that its alert sees it. */
import { readDrillConfig } from '../config/config'
import { integer } from '../config/parsers'
import { drills } from '../drills/drills'
import { findLocalStack, type LocalStack } from '../drills/local-stack'
import { type Rule, readRules } from '../drills/rules'
import { type DrillOptions, type Result, runCalm, runDrill } from '../drills/run'
import { SetupError, UsageError } from '../platform/fault'
import { type Context, defineCommand } from './command'
import { exitCodes } from './exit-codes'
import { isSimilar, refuse, value, valueOr } from './options'

const names = Object.keys(drills)
/** Not drills of their own. */
const others = {
  all: 'each of them, one after the other',
  none: 'causes nothing: loads lightly, and shows that no alert fires',
}

export const drill = defineCommand({
  about: 'causes a stuck state on a running npm start, and waits until its alert sees it',
  details: [
    'It says what it does, waits until the expression of the alerting rule is true, undoes what it caused,',
    'and waits until the expression is false. The rules are those of deploy/observability/rules.yml. Only',
    'for npm start on this machine. Where its services have API keys, those of the drill are in',
    'WALLET_API_KEY and BALANCES_API_KEY, or in the files …_FILE: docs/runbooks.md#drills.',
  ],
  positionals: [{ name: 'NAME', about: 'which one; without it they are listed', optional: true }],
  options: {
    within: valueOr('60', 'SECONDS', 'how long it may take until the rule is true', integer(1, 3600)),
    hold: valueOr(
      '0',
      'SECONDS',
      'how long the state stays once it was found, to see the alert and try the runbook',
      integer(0, 3600),
    ),
    minutes: value('MINUTES', 'of none: how long it loads; by default 60', integer(1, 1440)),
  },
  examples: [
    'saldo drill',
    'saldo drill broker-stopped',
    'saldo drill all --json',
    'saldo drill none --minutes 5',
  ],
  json: {
    example: {
      ...{ drill: 'broker-stopped', alert: 'SaldoEventsNotPublished' },
      ...{ found_seconds: 16.4, clear_seconds: 2.1, fault: null },
    },
    perLine: true,
  },
  exits: { failed: 'A rule did not see its drill, or stayed true after it; with none: an alert fired.' },
  interrupted: 'What a drill caused is undone.',
  async run({ within, hold, minutes }, context) {
    const [name] = context.positionals
    if (name === undefined) return list(context)
    if (name !== 'none' && minutes !== undefined) refuse('minutes', 'is for drill none: leave it out')
    if (!names.includes(name) && !Object.hasOwn(others, name)) throw new UsageError(unknown(name))
    const stack = findLocalStack(readDrillConfig(context.env))
    const rules = await readRules()
    if (name === 'none') return calm({ stack, rules, minutes: minutes ?? 60 }, context)
    const times = { foundWithinMs: within * 1000, clearWithinMs: 120_000, holdMs: hold * 1000 }
    return runAll(name === 'all' ? names : [name], { stack, rules, times }, context)
  },
})

const unknown = (typed: string): string => {
  const all = [...names, ...Object.keys(others)]
  const similar = all.find((name) => isSimilar(name, typed))
  const remedy = similar ? `Did you mean ${similar}?` : `Say one of ${all.join(', ')}.`
  return `There is no drill ${typed}. ${remedy}`
}

async function list({ json, print }: Context): Promise<number> {
  for (const [name, { alert, does, undoes }] of Object.entries(drills))
    await print(json ? JSON.stringify({ drill: name, alert, does, undoes }) : `${pad(name)}${does}. ${alert}`)
  if (!json) for (const [name, does] of Object.entries(others)) await print(`${pad(name)}${does}`)
  return exitCodes.done
}

const pad = (name: string): string => name.padEnd(Math.max(...names.map(({ length }) => length)) + 2)

type Times = Pick<DrillOptions, 'foundWithinMs' | 'clearWithinMs' | 'holdMs'>

async function runAll(
  chosen: readonly string[],
  { stack, rules, times }: { stack: LocalStack; rules: Rule[]; times: Times },
  { env, signal, json, print }: Context,
): Promise<number> {
  const results: Result[] = []
  for (const name of chosen) {
    const one = drills[name]
    const rule = rules.find(({ alert }) => alert === one?.alert)
    if (!one || !rule) throw new SetupError(`There is no rule ${one?.alert}.`)
    if (signal.aborted) break
    const options = { stack, env, signal, ...times, say: console.error }
    const result = await runDrill(name, one, rule, options)
    results.push(result)
    if (json) await print(JSON.stringify(result))
    else if (result.fault) console.error(`${name}: ${result.fault}`)
  }
  if (!json) for (const line of tableOf(results)) await print(line)
  return results.every(({ fault }) => fault === null) ? exitCodes.done : exitCodes.failed
}

function tableOf(results: readonly Result[]): string[] {
  const rows = results.map(({ drill: name, alert, found_seconds: found, clear_seconds: clear, fault }) => [
    ...[name, alert, found === null ? '-' : `${found} s`, clear === null ? '-' : `${clear} s`, fault ?? ''],
  ])
  const all = [['drill', 'rule', 'found after', 'clear after', ''], ...rows]
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? []
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

async function calm(
  { stack, rules, minutes }: { stack: LocalStack; rules: Rule[]; minutes: number },
  { signal, json, print }: Context,
): Promise<number> {
  console.error(`${minutes} minutes of two transfers a second. No alert is expected.`)
  const result = await runCalm(rules, { minutes, stack, signal, say: console.error })
  const { transfers, fired, pending } = result
  const listed = (alerts: string[]) => alerts.join(', ') || 'none'
  await print(
    json
      ? JSON.stringify({ drill: 'none', ...result })
      : `${transfers.sent} transfers, ${transfers.refused} refused, ${transfers.failed} failed. ` +
          `Fired: ${listed(fired)}. True for a while: ${listed(pending)}.`,
  )
  return fired.length > 0 || transfers.sent === 0 ? exitCodes.failed : exitCodes.done
}
