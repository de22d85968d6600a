import { expect, test } from 'bun:test'
import { createMetrics, defineMetrics, MetricsPage, sampleMetrics } from './metrics'

const definitions = defineMetrics({
  requests: { type: 'counter', name: 'saldo_a_total', help: 'Requests.', labels: { route: 'The route.' } },
  age: { type: 'gauge', name: 'saldo_b_seconds', help: 'Age.' },
  size: { type: 'histogram', name: 'saldo_c', help: 'Size.', buckets: [1, 10] },
})
const trace = '4bf92f3577b34da6a3ce929d0e0e4736'

function observed() {
  const metrics = createMetrics(definitions, { age: () => 1.5 })
  metrics.requests.add({ route: '/a' })
  metrics.requests.add({ route: '/a' }, 2)
  metrics.size.observe({}, 3, trace)
  metrics.size.observe({}, 100)
  return metrics
}

test('a page is in the text format, unless OpenMetrics is accepted, which has exemplars', async () => {
  const page = new MetricsPage([{ name: 'a', metrics: observed().all }])
  const open = await page.render('application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1')
  expect(open.contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
  expect(open.text.replace(/(trace_id="\w+"} 3) [\d.]+/, '$1 T')).toBe(
    [
      '# HELP saldo_a Requests.',
      '# TYPE saldo_a counter',
      'saldo_a_total{route="/a"} 3',
      '# HELP saldo_b_seconds Age.',
      '# TYPE saldo_b_seconds gauge',
      'saldo_b_seconds 1.5',
      '# HELP saldo_c Size.',
      '# TYPE saldo_c histogram',
      'saldo_c_bucket{le="1"} 0',
      `saldo_c_bucket{le="10"} 1 # {trace_id="${trace}"} 3 T`,
      'saldo_c_bucket{le="+Inf"} 2',
      'saldo_c_sum 103',
      'saldo_c_count 2',
      `# HELP saldo_sample_age_seconds ${sampleMetrics.age.help}`,
      '# TYPE saldo_sample_age_seconds gauge',
      '# EOF',
      '',
    ].join('\n'),
  )
  const plain = await page.render('*/*')
  expect(plain.contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  const lines = plain.text.split('\n')
  expect(lines.slice(0, 3)).toEqual([
    '# HELP saldo_a_total Requests.',
    '# TYPE saldo_a_total counter',
    'saldo_a_total{route="/a"} 3',
  ])
  expect(lines).toContain('saldo_c_bucket{le="10"} 1')
  expect(plain.text).not.toContain('EOF')
})

test('two pages share no metric', async () => {
  const [one, other] = [observed(), createMetrics(definitions)]
  const text = async (metrics: typeof one) =>
    (await new MetricsPage([{ name: 'a', metrics: metrics.all }]).render('')).text
  expect(await text(one)).toContain('saldo_c_count 2')
  expect(await text(other)).toContain('saldo_c_count 0')
  expect(await text(other)).not.toMatch(/^saldo_b_seconds /m)
})

const ageOf = (text: string, part: string) =>
  Number(new RegExp(`^saldo_sample_age_seconds\\{part="${part}"\\} (.*)$`, 'm').exec(text)?.[1])

test('a part is asked once at a time, and no more often than that', async () => {
  const metrics = createMetrics(definitions)
  let samples = 0
  const sample = async () => {
    samples++
    await Bun.sleep(1)
    metrics.age.set({}, samples)
  }
  const page = new MetricsPage([{ name: 'a', metrics: metrics.all, sample }], { everyMs: 60_000 })
  const pages = await Promise.all(Array.from({ length: 5 }, () => page.render('')))
  expect(samples).toBe(1)
  for (const { text } of pages) expect(text).toContain('saldo_b_seconds 1\n')
  await page.render('')
  expect(samples).toBe(1)
})

test('a part that hangs or fails holds up no other: its values stay, and their age says so', async () => {
  const metrics = createMetrics(definitions)
  let isStopped = false
  const sample = async () => {
    if (isStopped) throw new Error('no database')
    metrics.age.set({}, 7)
  }
  const parts = [
    { name: 'failing', metrics: metrics.all, sample },
    { name: 'hanging', sample: () => new Promise<void>(() => {}) },
  ]
  const page = new MetricsPage(parts, { everyMs: 0, waitMs: 20 })
  const first = await page.render('')
  expect(first.text).toContain('saldo_b_seconds 7\n')
  isStopped = true
  const later = await page.render('')
  expect(later.text).toContain('saldo_b_seconds 7\n')
  expect(ageOf(later.text, 'failing')).toBeGreaterThan(0)
  expect(ageOf(later.text, 'hanging')).toBeGreaterThan(ageOf(first.text, 'hanging'))
})
