import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nameOf, promtool, runPromtool } from '../testing/deploy/promtool'
import { drills } from './drills'
import { History } from './history'
import { evaluate, msOf } from './promql'
import { readRules } from './rules'

const rules = await readRules()

/** Values by series, ten seconds apart, the last one now. */
const series: Record<string, number[]> = {
  'age{part="a"}': [1, 2, 20],
  'age{part="b"}': [9, 9, 9],
  'skew{part="a"}': [0, 0, -8],
  'free{folder="/x"}': [50, 50, 5],
  'size{folder="/x"}': [100, 100, 100],
  'size{folder="/y"}': [100, 100, 100],
  'count{status="500"}': [1000, 1010, 1020],
  'count{status="201"}': [1000, 1030, 1060],
  'count{status="503"}': [10, 0, 20],
  'remaining{}': [70, 60, 50],
  'seconds_bucket{le="1"}': [0, 10, 20],
  'seconds_bucket{le="5"}': [0, 15, 30],
  'seconds_bucket{le="+Inf"}': [0, 20, 40],
}
const labelsIn = (name: string) =>
  Object.fromEntries(
    Array.from(name.matchAll(/(\w+)="([^"]*)"/g), ([, label = '', value = '']) => [label, value]),
  )
const target = { job: 'saldo', instance: 'one:1' }

function historyOf(all: Record<string, number[]>): History {
  const history = new History()
  for (const index of [0, 1, 2]) {
    const page = Object.entries(all).map(([name, values]) => ({
      ...{ name: name.replace(/\{.*/, ''), labels: labelsIn(name) },
      value: values[index] as number,
    }))
    history.add(index * 10_000, target, page)
  }
  return history
}

const expressions: [expression: string, values: number[]][] = [
  ['age', [20, 9]],
  ['age > 10', [20]],
  ['age{part="b"} >= 9', [9]],
  ['age{part!="b"}', [20]],
  ['age{part=~"b|c"} < 10', [9]],
  ['age{part!~"b|c"} == 20', [20]],
  ['max by (job) (age) > 15', [20]],
  ['min by (job, part) (age)', [20, 9]],
  ['sum by (job) (age) < 1', []],
  ['count (age)', [2]],
  ['max by (part) (abs(skew)) > 5', [8]],
  ['free / size < 0.1', [0.05]],
  ['min by (job, folder) (free / size)', [0.05]],
  ['absent(age{part="a"})', []],
  ['absent(age{part="z"})', [1]],
  ['rate(count{status="500"}[20s])', [1]],
  ['sum by (job) (rate(count{status=~"5.."}[30s])) / sum by (job) (rate(count[30s])) > 0.05', [0.4]],
  ['delta(remaining[30s]) < 0', [-30]],
  ['max(remaining) == 50 unless max(delta(remaining[30s])) < 0', []],
  ['max(remaining) == 50 unless max(delta(remaining[30s])) > 0', [50]],
  ['histogram_quantile(0.25, sum by (job, le) (rate(seconds_bucket[20s])))', [0.5]],
  ['histogram_quantile(0.99, sum by (job, le) (rate(seconds_bucket[20s]))) > 4', [5]],
]

test.each(expressions)('%s', (expression, values) => {
  expect(evaluate(expression, historyOf(series)).map(({ value }) => value)).toEqual(values)
})

test('what a target does not show any more is not current, and a silent target is down', () => {
  const history = historyOf(series)
  history.add(30_000, target, [{ name: 'age', labels: { part: 'a' }, value: 30 }])
  expect(evaluate('age', history).map(({ value }) => value)).toEqual([30])
  history.add(40_000, target, null)
  expect(evaluate('age', history)).toEqual([])
  expect(evaluate('absent(age{part="a"})', history)).toEqual([{ labels: { part: 'a' }, value: 1 }])
  expect(evaluate('up == 0', history)).toHaveLength(1)
  history.forget(target.instance)
  expect(evaluate('up', history)).toEqual([])
})

test.each([
  'age offset 5m > 1',
  'sum without (part) (age) > 1',
  'age / on (job) free > 1',
  'age > bool 1',
  'topk(1, age) > 1',
  '1',
])('%s is refused, and not taken for false', (expression) => {
  expect(() => evaluate(expression, historyOf(series))).toThrow()
})

test('each rule can be evaluated, and each drill is about one', () => {
  for (const { expr, forMs } of rules) {
    expect(evaluate(expr, historyOf(series)).length).toBeLessThan(2)
    expect(forMs).toBeGreaterThanOrEqual(0)
  }
  for (const { alert } of Object.values(drills)) expect(rules.map((rule) => rule.alert)).toContain(alert)
  expect(msOf('1m')).toBe(60_000)
})

const title = promtool ? `as ${promtool}` : 'skipped: there is no promtool here, and PROMTOOL names none'
describe.skipIf(promtool === null)(title, () => {
  test('evaluates each of them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'saldo-promql-'))
    try {
      const input_series = Object.entries(series).map(([name, values]) => ({
        series: nameOf({ name: name.replace(/\{.*/, ''), labels: { ...labelsIn(name), ...target } }),
        values: values.join(' '),
      }))
      const promql_expr_test = expressions.map(([expr]) => ({
        ...{ expr, eval_time: '20s' },
        exp_samples: evaluate(expr, historyOf(series)).map(
          ({ labels: { __name__ = '', ...labels }, value }) => ({
            ...{ labels: nameOf({ name: __name__, labels: labels as Record<string, string> }), value },
          }),
        ),
      }))
      const file = join(folder, 'test.json')
      writeFileSync(
        file,
        JSON.stringify({
          ...{ rule_files: [], evaluation_interval: '10s' },
          tests: [{ interval: '10s', input_series, promql_expr_test }],
        }),
      )
      runPromtool(['test', 'rules', file])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
