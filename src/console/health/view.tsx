/** Whether money flows, the failures first. */
import './health.css'
import type { Reconciliation } from '../../client/types.ts'
import { CallFailed, send } from '../api.ts'
import { useFormats, useMessages } from '../i18n.ts'
import { type Sample, useLive } from '../live.ts'
import { Plot, tones } from '../plot.tsx'
import { type Polled, usePolled } from '../poll.ts'
import { Empty, Panel, Scroll } from '../ui.tsx'
import { DeadLetters } from './dead-letters.tsx'
import { type Check, columnsOf, findFaults, gaugeIn, lagColumnsOf, type WalletFacts } from './facts.ts'
import { healthMessages } from './messages.ts'
import { RebuildPanel } from './rebuild.tsx'
import { ReconcilePanel } from './reconcile.tsx'

const everyMs = 2000

type Checks = Readonly<Record<string, Check>>

export function HealthView() {
  const text = useMessages(healthMessages)
  const { samples } = useLive()
  const sample = samples.at(-1)
  const wallet = usePolled(loadWallet, everyMs)
  const checks = usePolled(() => loadChecks('balances'), everyMs)
  const reports = usePolled(loadReports, everyMs * 5)
  const newest = reports.value?.[0]
  const faults = findFaults({
    wallet: answered(wallet),
    checks: answered(checks),
    sample,
    reconciled: newest && { result: newest.result, differences: newest.differences_total },
  })
  return (
    <>
      <h1>{text('title')}</h1>
      <Faults faults={faults} isKnown={checks.value !== undefined || checks.error !== undefined} />
      <Flow samples={samples} />
      <div class="grid">
        <Outbox wallet={wallet} />
        <Lag sample={sample} />
      </div>
      <DeadLetters newest={sample?.dead_letters ?? undefined} />
      <RebuildPanel />
      <ReconcilePanel reports={reports.value} error={reports.error} />
      <CheckTable wallet={wallet.value?.checks} balances={checks.value} />
    </>
  )
}

/** Null where the service did not answer; undefined where it was not asked, as without its address. */
function answered<T>({ value, error }: Polled<T>): T | null | undefined {
  if (error instanceof CallFailed && error.problem.title === 'unreachable') return null
  return value
}

async function loadChecks(service: 'wallet' | 'balances'): Promise<Checks> {
  return (await send<{ checks?: Checks }>(service, '/readyz')).body.checks ?? {}
}

async function loadWallet(): Promise<WalletFacts> {
  const [checks, { status, body }] = await Promise.all([
    loadChecks('wallet'),
    send<unknown>('wallet', '/metrics').catch(() => ({ status: 0, body: '' })),
  ])
  const gauge = (name: string) => gaugeIn(String(body), name) ?? 0
  const outbox = {
    oldestAgeSeconds: gauge('saldo_outbox_oldest_age_seconds'),
    pending: gauge('saldo_outbox_pending_events'),
    hasLeader: gauge('saldo_relay_leader') > 0,
  }
  return { checks, outbox: status === 200 ? outbox : undefined }
}

const loadReports = async (): Promise<Reconciliation[]> =>
  (await send<{ data?: Reconciliation[] }>('balances', '/reconciliations?limit=5')).body.data ?? []

function Faults({ faults, isKnown }: { faults: ReturnType<typeof findFaults>; isKnown: boolean }) {
  const text = useMessages(healthMessages)
  if (faults.length === 0)
    return (
      <p class="all-well" role="status">
        {isKnown ? text('allWell') : '…'}
      </p>
    )
  return (
    <section aria-label={text('faults')} aria-live="polite" class="faults">
      <ul>
        {faults.map(({ name, tone, values, runbook }) => (
          <li key={`${name}${values.service ?? ''}${values.check ?? ''}`} class={`panel ${tone}`}>
            {text(name, values)} {runbook && <a href={`/docs/runbooks#${runbook}`}>{text('runbook')}</a>}
          </li>
        ))}
      </ul>
    </section>
  )
}

function Flow({ samples }: { samples: readonly Sample[] }) {
  const text = useMessages(healthMessages)
  const { time } = useFormats()
  const last = samples.at(-1)
  if (!last)
    return (
      <Panel title={text('flow')}>
        <Empty title={text('noSamples')} />
      </Panel>
    )
  const { at, events, p50, p99 } = columnsOf(samples)
  const lag = lagColumnsOf(samples, tones.length).map(({ name, values }, nth) => ({
    label: name ?? text('records'),
    values,
    tone: tones[nth] ?? 'accent',
  }))
  const latency = [
    { label: text('p50'), values: p50 },
    { label: text('p99'), values: p99, tone: 'warn' as const },
  ]
  return (
    <Panel
      title={text('flow')}
      actions={<span class="quiet-text">{text('asOf', { time: time(last.at) })}</span>}
    >
      <div class="grid">
        <Plot title={text('flow')} at={at} lines={[{ label: text('events'), values: events }]} />
        <Plot title={text('latency')} at={at} unit=" ms" lines={latency} />
        <Plot title={text('lag')} at={at} lines={lag} />
      </div>
    </Panel>
  )
}

function Outbox({ wallet: { value, atMs } }: { wallet: Polled<WalletFacts> }) {
  const text = useMessages(healthMessages)
  const { number, duration, time } = useFormats()
  const outbox = value?.outbox
  const history = useHistory(atMs, outbox?.oldestAgeSeconds)
  return (
    <Panel
      title={text('outbox')}
      actions={atMs && <span class="quiet-text">{text('asOf', { time: time(atMs) })}</span>}
    >
      {outbox ? (
        <dl class="facts">
          <dt>{text('outboxPending')}</dt>
          <dd>{number(outbox.pending)}</dd>
          <dt>{text('outboxAge')}</dt>
          <dd>{duration(outbox.oldestAgeSeconds * 1000)}</dd>
          <dt>{text('relay')}</dt>
          <dd>{text(outbox.hasLeader ? 'leads' : 'leadsNot')}</dd>
        </dl>
      ) : (
        <p class="quiet-text">{value ? text('outboxUnknown') : '—'}</p>
      )}
      {history.length > 1 && (
        <Plot
          title={text('outboxAge')}
          at={history.map(({ atMs }) => atMs / 1000)}
          unit=" s"
          lines={[{ label: text('outbox'), values: history.map(({ seconds }) => seconds), tone: 'warn' }]}
        />
      )}
    </Panel>
  )
}

type Aged = { atMs: number; seconds: number }

const historyMax = 300
/** Over all visits of this view. */
let agesOfOutbox: readonly Aged[] = []

/** With each value that was polled; the wallet keeps no history. */
function useHistory(atMs: number | undefined, seconds: number | undefined): readonly Aged[] {
  if (atMs !== undefined && seconds !== undefined && agesOfOutbox.at(-1)?.atMs !== atMs)
    agesOfOutbox = [...agesOfOutbox, { atMs, seconds }].slice(-historyMax)
  return agesOfOutbox
}

function Lag({ sample }: { sample: Sample | undefined }) {
  const text = useMessages(healthMessages)
  const { number, duration } = useFormats()
  const all = sample?.lag ?? []
  const waiting = all.filter(({ records }) => records > 0).sort((one, other) => other.records - one.records)
  if (waiting.length === 0)
    return (
      <Panel title={text('lagTable')}>
        <p class="quiet-text">{sample?.lag ? text('noLag', { count: all.length }) : '—'}</p>
      </Panel>
    )
  return (
    <Panel title={text('lagTable')}>
      <Scroll label={text('lagTable')} class="lag">
        <table>
          <thead>
            <tr>
              <th>{text('partition')}</th>
              <th class="number">{text('waiting')}</th>
              <th class="number">{text('oldest')}</th>
            </tr>
          </thead>
          <tbody>
            {waiting.map(({ topic, partition, records, oldest_age_seconds: age }) => (
              <tr key={`${topic}/${partition}`}>
                <td>
                  {topic}/{partition}
                </td>
                <td class="number">{number(records)}</td>
                <td class="number">{age === null ? '—' : duration(age * 1000)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Panel>
  )
}

function CheckTable(services: { wallet: Checks | undefined; balances: Checks | undefined }) {
  const text = useMessages(healthMessages)
  const rows = Object.entries(services).flatMap(([service, checks]) =>
    Object.entries(checks ?? {}).map(([name, check]) => ({ service, name, ...check })),
  )
  return (
    <Panel title={text('checks')}>
      <Scroll label={text('checks')}>
        <table>
          <thead>
            <tr>
              <th>{text('service')}</th>
              <th>{text('checks')}</th>
              <th>{text('status')}</th>
              <th>{text('output')}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ service, name, status, output }) => (
              <tr key={`${service}/${name}`}>
                <td>{service}</td>
                <td>{name}</td>
                <td class={toneOf[status]}>{text(status)}</td>
                <td>{output}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Panel>
  )
}

const toneOf = { pass: 'good-text', warn: 'warn-text', fail: 'bad-text' } as const
