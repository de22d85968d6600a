/** `docs/metrics.md`, from the definitions of the metrics. A test compares these with what services show. */
import { deadLetterMetrics } from '../balances/dead-letters/metrics'
import { lagMetrics } from '../balances/freshness/lag-metrics'
import { applyMetrics } from '../balances/projection/metrics'
import { largeMovementMetrics } from '../balances/reactions/metrics'
import { rebuildMetrics } from '../balances/rebuild/metrics'
import { streamMetrics } from '../balances/streams/metrics'
import type { ServiceName } from '../config/config'
import { httpMetrics } from '../platform/http/http-metrics'
import { databaseMetrics } from '../platform/postgres/database-metrics'
import { diskMetrics } from '../platform/process/disk-metrics'
import { processMetrics } from '../platform/process/process-metrics'
import { keyMetrics } from '../platform/telemetry/key-metrics'
import { type Definition, type Definitions, sampleMetrics } from '../platform/telemetry/metrics'
import { ledgerMetrics } from '../wallet/ledger/metrics'
import { holdMetrics } from '../wallet/maintenance/metrics'
import { outboxMetrics } from '../wallet/outbox/metrics'

const shared = [processMetrics, diskMetrics, databaseMetrics, keyMetrics, httpMetrics, sampleMetrics]
const own: Record<ServiceName, Definitions[]> = {
  wallet: [outboxMetrics, ledgerMetrics, holdMetrics],
  balances: [
    ...[lagMetrics, applyMetrics, deadLetterMetrics, largeMovementMetrics],
    ...[rebuildMetrics, streamMetrics],
  ],
}

const listed = (all: readonly Definitions[]): Definition[] => all.flatMap((some) => Object.values(some))

/** All that a service shows. */
export const definitionsOf = (service: ServiceName): Definition[] => listed([...own[service], ...shared])

const intro = [
  '# Metrics\n',
  '`GET /metrics` of both services, for Prometheus. This page is made from the code (`npm run docs`).\n',
  '```yaml',
  'scrape_configs:',
  '  - job_name: saldo',
  '    scrape_interval: 15s',
  '    authorization: { credentials_file: /run/secrets/saldo-metrics-key } # where there are API keys',
  '    static_configs:',
  '      - targets: [wallet:8080, balances:3003]',
  '```\n',
  '- **Ages come first.** Rates and latencies say whether a service answers; the ages say whether the money',
  '  that it has accepted goes on ([operations.md](operations.md#metrics)). Each has an alert in',
  '  [`deploy/observability/rules.yml`](../deploy/observability/rules.yml), and that a section in',
  '  [runbooks.md](runbooks.md).',
  '- **Formats.** The text format 0.0.4, or OpenMetrics 1.0 for `Accept: application/openmetrics-text`, as',
  '  Prometheus sends it. Only OpenMetrics has exemplars: a bucket of a histogram names the trace of one',
  '  observation, `# {trace_id="…"}`, the same that problems, logs and the headers of events have. From the',
  '  request over append and send to the applied balance it is one.',
  '- **Access.** As soon as there are API keys, one of scope `metrics` is needed, which reads this and',
  '  nothing else ([security.md](security.md#scopes)):',
  '  `npm run --silent saldo -- keys create --service wallet --name prometheus --scopes metrics`, and one',
  '  for balances. No rate limit counts a scrape.',
  '- **Samples.** A gauge that takes a query is sampled when it is scraped, at most once in two seconds,',
  '  however many scrape. A scrape waits for a second at most: without a database or a broker it answers',
  '  with the last values, and `saldo_sample_age_seconds` says how old they are.',
  '- **Replicas.** What is in a database or a topic is the same at every replica: take `max`. Counters,',
  '  histograms, pools, streams and `saldo_relay_leader` are of one process: take `sum`.',
  '- **Labels** have values of ours, never what a caller sent: routes as in OpenAPI, statuses, causes,',
  '  partitions.',
  '- **Cost:** about 3 µs a transfer ([performance.md](performance.md#metrics)).\n',
].join('\n')

/** Expected content by path within the repository. */
export const writeMetricsDocs = (): Map<string, string> =>
  new Map([
    [
      'docs/metrics.md',
      [
        intro,
        section('The wallet', own.wallet),
        section('Balances', own.balances),
        section('Both services', shared),
      ].join('\n'),
    ],
  ])

const section = (title: string, all: readonly Definitions[]): string =>
  [
    `## ${title}\n`,
    '| metric | type | unit | labels | meaning |',
    '|---|---|---|---|---|',
    ...listed(all).map(row),
    '',
  ].join('\n')

const row = ({ name, type, labels = {}, help, buckets }: Definition): string => {
  const shown = Object.entries(labels).map(([label, meaning]) => `\`${label}\`: ${meaning}`)
  const bounds = buckets ? ` Buckets: ${buckets.join(', ')}.` : ''
  return `| \`${name}\` | ${type} | ${unitOf(name)} | ${shown.join('<br>')} | ${help}${bounds} |`
}

const unitOf = (name: string): string =>
  /_(seconds|bytes|records|events|commands)(_total)?$/.exec(name)?.[1] ?? (/_info$/.test(name) ? '' : 'count')
