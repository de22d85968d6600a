/**
 * The alerting rules, evaluated by Prometheus' own tool, where it is on this machine: over each state in
 * which something does not go on, and over what a stack that works shows.
 */
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { serviceNames } from '../../config/config'
import { eventually } from '../eventually'
import { definitionsOf } from '../metrics-docs'
import { type Scraped, scrape } from '../scrape'
import { startStack } from '../stack'
import { evaluate, type Input, promtool, type Rule, type RuleCase, runPromtool } from './promtool'

const root = join(import.meta.dir, '../../..')
const rulesFile = 'deploy/observability/rules.yml'
const text = await Bun.file(join(root, rulesFile)).text()
const { groups } = Bun.YAML.parse(text) as { groups: { name: string; rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)
const runbooks = await Bun.file(join(root, 'docs/runbooks.md')).text()

const definitions = new Map(
  serviceNames.flatMap(definitionsOf).map((definition) => [definition.name, definition] as const),
)

/** Those that an expression names, as they are defined. */
const metricsIn = (expr: string) =>
  Array.from(expr.matchAll(/\b(saldo|process)_[a-z_]+/g), ([name]) => {
    const base = name.replace(/_(bucket|sum|count)$/, '')
    return { name, definition: definitions.get(name) ?? definitions.get(base) }
  })

test.each(rules)('$alert names metrics and labels that there are, and a runbook', (rule) => {
  const { expr, alert, labels, annotations } = rule
  const metrics = metricsIn(expr)
  expect(metrics.length).toBeGreaterThan(0)
  const known = new Set(['job', 'instance', 'le'])
  for (const { name, definition } of metrics) {
    expect([alert, name, definition?.name]).toEqual([alert, name, expect.any(String)])
    for (const label of Object.keys(definition?.labels ?? {})) known.add(label)
  }
  const used = [
    ...Array.from(expr.matchAll(/\bby \(([^)]*)\)/g), ([, list = '']) => list.split(/,\s*/)).flat(),
    ...Array.from(expr.matchAll(/[{,]\s*(\w+)\s*(?:=|!=|=~|!~)\s*"/g), ([, label = '']) => label),
    ...Array.from(annotations.summary.matchAll(/\$labels\.(\w+)/g), ([, label = '']) => label),
  ]
  expect(used.filter((label) => !known.has(label))).toEqual([])
  expect(['page', 'ticket']).toContain(labels.severity)
  // As GitHub makes anchors of headings.
  const anchors = Array.from(runbooks.matchAll(/^## (.*)$/gm), ([, title = '']) =>
    title.toLowerCase().replaceAll(' ', '-'),
  )
  const [path, anchor = ''] = annotations.runbook_url.split('#')
  expect([path, anchors.includes(anchor)]).toEqual(['docs/runbooks.md', true])
  expect(anchor).toContain(alert.toLowerCase())
})

test('each runbook is that of a rule, and says what it means, how to see it and what to do', () => {
  const sections = runbooks.split(/^## /m).slice(1)
  for (const section of sections) {
    const title = section.slice(0, section.indexOf('\n'))
    if (title === 'Drills') continue
    for (const name of title.split(' and ')) expect(rules.map(({ alert }) => alert)).toContain(name)
    for (const part of ['**Means.**', '**See.**', '**Do.**'])
      expect([title, section]).toEqual([title, expect.stringContaining(part)])
  }
})

type Panel = { id: number; title: string; gridPos: { y: number; h: number }; targets?: { expr: string }[] }
const dashboard = (await Bun.file(join(root, 'deploy/observability/dashboard.json')).json()) as {
  panels: Panel[]
}
const shown = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr: expr.replaceAll('$__rate_interval', '1m') })),
)

test.each(shown)('the dashboard shows what there is: $title', ({ expr }) => {
  const metrics = metricsIn(expr)
  expect(metrics.length).toBeGreaterThan(0)
  for (const { name, definition } of metrics)
    expect([name, definition?.name]).toEqual([name, expect.any(String)])
})

test('compose: the profile mounts files that there are, and scrapes both services', async () => {
  const read = async (path: string) => Bun.YAML.parse(await Bun.file(join(root, path)).text())
  const { services } = (await read('compose.yaml')) as {
    services: Record<string, { volumes?: string[]; profiles?: string[]; environment?: { PORT: number } }>
  }
  const { observability } = services
  expect(observability?.profiles).toEqual(['observability'])
  const mounts = (observability?.volumes ?? []).map((volume) => volume.split(':'))
  for (const [file = '', , mode] of mounts)
    expect([file, await Bun.file(join(root, file)).exists(), mode]).toEqual([file, true, 'ro'])
  const config = (await read('deploy/observability/prometheus.yml')) as {
    rule_files: string[]
    scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[]
  }
  // Beside the configuration of the image.
  expect(mounts.map(([, path]) => path)).toContain(`/otel-lgtm/${config.rule_files[0]}`)
  expect(config.scrape_configs.map(({ job_name, static_configs }) => [job_name, static_configs])).toEqual([
    ['saldo', [{ targets: serviceNames.map((name) => `${name}:${services[name]?.environment?.PORT}`) }]],
  ])
})

const wallet = { job: 'saldo', instance: 'wallet:8080' }
const balances = { job: 'saldo', instance: 'balances:3003' }
const partition = { topic: 'balances', partition: '0' }
const one = (name: string, labels: Record<string, string>, values: string): Input => ({
  name,
  labels,
  values,
})

type Stuck = { series: Input[]; labels?: Record<string, string>; withinSeconds?: number }

/** What Prometheus sees of each state from its beginning on, and the labels with which the alert fires. */
const stuck: Record<string, Stuck> = {
  SaldoEventsNotPublished: {
    series: [one('saldo_outbox_oldest_age_seconds', wallet, '0+10x30')],
    labels: { job: 'saldo' },
  },
  SaldoOutboxFilling: {
    series: [one('saldo_outbox_pending_events', wallet, '0 3000 6000 9000 10001x30')],
    labels: { job: 'saldo' },
  },
  SaldoRelayWithoutLeader: {
    series: [
      one('saldo_relay_leader', wallet, '0x30'),
      one('saldo_relay_leader', { ...wallet, instance: 'wallet:8081' }, '0x30'),
    ],
    labels: { job: 'saldo' },
  },
  SaldoRecordsNotApplied: {
    series: [one('saldo_consumer_oldest_unapplied_seconds', { ...balances, ...partition }, '0+10x30')],
    labels: { job: 'saldo', ...partition },
  },
  SaldoDeadLetters: {
    series: [one('saldo_dead_letter_oldest_age_seconds', balances, '0+10x30')],
    labels: { job: 'saldo' },
  },
  SaldoLargeMovementsNotRecorded: {
    series: [one('saldo_large_movements_oldest_unread_seconds', { ...balances, ...partition }, '0+10x30')],
    labels: { job: 'saldo', ...partition },
  },
  SaldoHoldsNotExpiring: {
    series: [one('saldo_hold_overdue_seconds', wallet, '0+10x30')],
    labels: { job: 'saldo' },
  },
  SaldoRequestsUnanswered: {
    series: [one('saldo_idempotency_key_in_progress_seconds', wallet, '0+10x30')],
    labels: wallet,
  },
  SaldoEventsRefused: {
    series: [one('saldo_outbox_refused_events', wallet, '1x30')],
    labels: { job: 'saldo' },
  },
  SaldoRebuildStuck: {
    series: [
      one('saldo_rebuild_state', { ...balances, state: 'building' }, '1x120'),
      one('saldo_rebuild_remaining_records', balances, '500x120'),
    ],
    labels: { job: 'saldo' },
    withinSeconds: 400,
  },
  SaldoWalletAbsent: {
    series: [one('saldo_build_info', { ...balances, service: 'balances' }, '1x30')],
    labels: { service: 'wallet' },
  },
  SaldoBalancesAbsent: {
    series: [one('saldo_build_info', { ...wallet, service: 'wallet' }, '1x30')],
    labels: { service: 'balances' },
  },
  SaldoNotServing: { series: [one('saldo_serving', wallet, '0x30')], labels: wallet, withinSeconds: 130 },
  SaldoSamplesOld: {
    series: [one('saldo_sample_age_seconds', { ...wallet, part: 'outbox' }, '0+10x30')],
    labels: { ...wallet, part: 'outbox' },
  },
  SaldoDatabaseSlow: {
    series: [one('saldo_database_round_trip_seconds', wallet, '0.001 1x30')],
    labels: wallet,
  },
  SaldoRequestsFailing: {
    series: ['503', '201'].map((status) =>
      one(
        'saldo_http_request_duration_seconds_count',
        { ...wallet, method: 'POST', route: '/transactions', status },
        '0+10x30',
      ),
    ),
    labels: { job: 'saldo', route: '/transactions' },
    withinSeconds: 90,
  },
  SaldoBalancesLate: {
    series: ['5', '10', '+Inf'].map((le) =>
      one('saldo_commit_to_applied_seconds_bucket', { ...balances, le }, le === '5' ? '0x120' : '0+10x120'),
    ),
    labels: { job: 'saldo' },
    withinSeconds: 400,
  },
  SaldoEventLoopBlocked: {
    series: ['0.25', '0.5', '+Inf'].map((le) =>
      one('saldo_event_loop_delay_seconds_bucket', { ...wallet, le }, le === '0.25' ? '0x120' : '0+10x120'),
    ),
    labels: wallet,
    withinSeconds: 400,
  },
  SaldoClockOff: { series: [one('saldo_clock_offset_seconds', wallet, '-3600x30')], labels: wallet },
  SaldoDiskAlmostFull: {
    series: [
      one('saldo_disk_free_bytes', { ...wallet, folder: '/data' }, '5x30'),
      one('saldo_disk_size_bytes', { ...wallet, folder: '/data' }, '100x30'),
    ],
    labels: { job: 'saldo', folder: '/data' },
  },
}

test('there is a state for each rule', () => {
  expect(Object.keys(stuck)).toEqual(rules.map(({ alert }) => alert))
  for (const { series } of Object.values(stuck))
    for (const { name } of series) expect(metricsIn(name)[0]?.definition).toBeDefined()
})

const severityOf = (alert: string) => rules.find((rule) => rule.alert === alert)?.labels.severity ?? ''

const title = promtool ? `by ${promtool}` : 'skipped: there is no promtool here, and PROMTOOL names none'
describe.skipIf(promtool === null)(title, () => {
  test('the rules are valid, and so is what the dashboard asks for', () => {
    runPromtool(['check', 'config', join(root, 'deploy/observability/prometheus.yml')])
    const recorded = shown.map(({ expr }, index) => ({ record: `panel:${index}`, expr }))
    const groups = [{ name: 'dashboard', rules: recorded }]
    runPromtool(['check', 'rules', '--lint=none', '/dev/stdin'], JSON.stringify({ groups }))
  })

  test('each stuck state fires its alert within a minute, or in the time that it is given', () => {
    const cases = Object.entries(stuck).map(
      ([alert, { series, labels = {}, withinSeconds = 60 }]): RuleCase => ({
        ...{ name: alert, series, atSeconds: withinSeconds },
        alerts: { [alert]: [{ ...labels, severity: severityOf(alert) }] },
      }),
    )
    evaluate(rulesFile, rules, cases)
  })

  test('what a stack that works shows is well-formed, and raises none', async () => {
    await using stack = await startStack()
    const pages = await eventually(async () => {
      const shown: [typeof wallet, Scraped][] = [
        [wallet, await scrape(stack.wallet)],
        [balances, await scrape(stack.balances)],
      ]
      const [[, atWallet], [, atBalances]] = shown as [[object, Scraped], [object, Scraped]]
      expect(atWallet.values('saldo_outbox_pending_events')).toEqual([0])
      expect(Math.max(...atBalances.values('saldo_consumer_lag_records'))).toBe(0)
      return shown
    })
    for (const caller of [stack.wallet, stack.balances])
      runPromtool(['check', 'metrics'], String((await caller.get('/metrics')).body.text))
    // All of it stays as it is, for longer than any rule looks back.
    const series = pages.flatMap(([labels, page]) =>
      page.series.map(({ value, ...shown }) => ({
        name: shown.name,
        labels: { ...labels, ...shown.labels },
        // The disk of the machine that runs the tests may be full.
        values: `${shown.name === 'saldo_disk_free_bytes' ? 1e15 : value}x120`,
      })),
    )
    const none = Object.fromEntries(rules.map(({ alert }) => [alert, []]))
    evaluate(rulesFile, rules, [{ name: 'calm', series, atSeconds: 1200, alerts: none }])
  })
})
