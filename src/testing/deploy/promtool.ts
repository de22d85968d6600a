/** Prometheus' own evaluator of rules, for tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Series } from '../scrape'

/** Null where there is none. `PROMTOOL` names another one. Debian has it in the package `prometheus`. */
export const promtool: string | null = process.env.PROMTOOL || Bun.which('promtool')

/** Throws what it says of a fault. */
export function runPromtool(args: readonly string[], input = ''): void {
  if (!promtool) throw new Error('no promtool on this machine')
  const { exitCode, stdout, stderr } = Bun.spawnSync([promtool, ...args], { stdin: Buffer.from(input) })
  if (exitCode !== 0) throw new Error(`promtool ${args[0]} ${args[1]}: ${stdout}${stderr}`)
}

/** Values every 10 seconds, in the notation of promtool: `0+10x6` is 0, 10, … 60. */
export type Input = Omit<Series, 'value'> & { values: string }

export type RuleCase = {
  name: string
  series: readonly Input[]
  /** When it is looked at, in seconds. */
  atSeconds: number
  /** Of each alert the labels with which it fires, if it does. */
  alerts: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>
}

/** Annotations are not compared: each fires with those of its rule. */
export function evaluate(rulesFile: string, rules: readonly Rule[], cases: readonly RuleCase[]): void {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-rules-'))
  try {
    // Without annotations, which promtool would compare with their values filled in.
    const bare = rules.map(({ annotations: _, ...rule }) => rule)
    writeFileSync(
      join(folder, 'rules.json'),
      JSON.stringify({ groups: [{ name: 'all', interval: '10s', rules: bare }] }),
    )
    const tests = cases.map(({ name, series, atSeconds, alerts }) => ({
      name,
      interval: '10s',
      input_series: series.map((one) => ({ series: nameOf(one), values: one.values })),
      alert_rule_test: Object.entries(alerts).map(([alertname, fires]) => ({
        ...{ eval_time: `${atSeconds}s`, alertname },
        exp_alerts: fires.map((exp_labels) => ({ exp_labels })),
      })),
    }))
    const file = join(folder, 'test.json')
    writeFileSync(file, JSON.stringify({ rule_files: ['rules.json'], evaluation_interval: '10s', tests }))
    runPromtool(['test', 'rules', file])
  } catch (error) {
    throw new Error(`${rulesFile}: ${(error as Error).message}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export type Rule = {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: { summary: string; description: string; runbook_url: string }
}

export const nameOf = ({ name, labels }: Omit<Series, 'value'>): string =>
  `${name}{${Object.entries(labels)
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
    .join(',')}}`
