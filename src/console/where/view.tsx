/** One transaction: where it is, since when, and what will free it. */
import './where.css'
import { useRef, useState } from 'preact/hooks'
import { CallFailed, send, settings } from '../api.ts'
import { useFormats, useMessages } from '../i18n.ts'
import type { Hops, Lane } from '../lanes.ts'
import { useLive } from '../live.ts'
import { usePolled } from '../poll.ts'
import { hashOf, navigate, useRoute } from '../router.ts'
import { useValue } from '../state.ts'
import { Age, Empty, Failure, Id, Money, Panel } from '../ui.tsx'
import { type Ask, askFacts, type Facts, legsMax, type Place, type Transaction } from './facts.ts'
import { lessons, whereMessages } from './messages.ts'
import { type Cause, type Station, type Whereabouts, whereIs } from './where-is.ts'

const everyMs = 400
/** A service that takes longer gives no answer, in milliseconds. */
const answerMs = 2000
const recentMax = 8

export function WhereView() {
  const text = useMessages(whereMessages)
  const [, id] = useRoute().path
  return (
    <>
      <h1>{text('title')}</h1>
      <Search key={`search ${id}`} id={id ?? ''} />
      {id === undefined ? <Recent /> : <Tracked key={id} id={id} />}
    </>
  )
}

function Search({ id }: { id: string }) {
  const text = useMessages(whereMessages)
  const [typed, setTyped] = useState(id)
  const find = (event: Event) => {
    event.preventDefault()
    if (typed.trim() !== '') navigate(['transactions', typed.trim()])
  }
  return (
    <form class="row where-search" onSubmit={find}>
      <label>
        {text('id')}
        <input
          value={typed}
          autocomplete="off"
          spellcheck={false}
          onInput={({ currentTarget }) => setTyped(currentTarget.value)}
        />
      </label>
      <button type="submit" disabled={typed.trim() === ''}>
        {text('find')}
      </button>
    </form>
  )
}

function Recent() {
  const text = useMessages(whereMessages)
  const { lanes } = useLive()
  const recent = lanes.filter(isMovement).slice(0, recentMax)
  return (
    <Empty title={text('emptyTitle')}>
      <p>{text('emptyText')}</p>
      {recent.length === 0 && <p>{text('noRecent')}</p>}
      {recent.length > 0 && (
        <ul class="where-recent" aria-label={text('recent')}>
          {recent.map((lane) => (
            <li key={lane.key}>
              <a href={hashOf(['transactions', lane.transaction_id ?? ''])}>
                <Id value={lane.transaction_id ?? ''} />
              </a>{' '}
              <Money amount={lane.amount} currency={lane.currency} />
            </li>
          ))}
        </ul>
      )}
    </Empty>
  )
}

const isMovement = ({ name, transaction_id: id, hold_id: hold }: Lane): boolean =>
  name === 'BalanceUpdated' && id !== null && hold === null

/** Any answer, a refusal included; undefined where there is none in time. */
const ask: Ask = async (service, path) => {
  try {
    return await send(service, path, { signal: AbortSignal.timeout(answerMs) })
  } catch (error) {
    if (!(error instanceof CallFailed) || error.problem.status === 0) return undefined
    return { status: error.problem.status, body: error.problem }
  }
}

/** The live flow knows its times, and its record also while the wallet is away. */
function useLane(id: string): Lane | undefined {
  const { lanes } = useLive()
  return lanes.find((lane) => lane.transaction_id === id.toLowerCase() && lane.topic !== null)
}

function Tracked({ id }: { id: string }) {
  const text = useMessages(whereMessages)
  const { time } = useFormats()
  const configured = useValue(settings)
  const lane = useLane(id)
  const last = useRef<{ facts?: Facts; seen?: Place }>({})
  if (lane?.name === 'BalanceUpdated' && lane.topic !== null)
    last.current.seen = { topic: lane.topic, partition: lane.partition ?? 0, offset: lane.offset ?? 0 }
  const { value: facts, atMs } = usePolled(
    async () => {
      const { facts: before, seen } = last.current
      // Where the wallet is, is not known yet.
      if (!configured) return undefined
      if (before && whereIs(before).isDone) return before
      last.current.facts = await askFacts(ask, id, { before, seen })
      return last.current.facts
    },
    everyMs,
    [configured],
  )
  if (configured?.wallet_url === null)
    return <Failure error={new CallFailed('wallet', { status: 0, title: 'wallet-address-missing' })} />
  if (!facts) return <p class="quiet-text">{text('asking')}</p>
  const found = whereIs(facts, lane?.hops)
  const legs = facts.known.delivery?.events.filter(({ leg }) => leg !== null).length ?? 0
  return (
    <>
      <Answer found={found} />
      {facts.known.transaction && <Summary id={id} transaction={facts.known.transaction} />}
      <Way found={found} hops={lane?.hops} />
      {legs > legsMax && <p class="quiet-text">{text('legsMax', { count: legsMax })}</p>}
      {atMs !== undefined && (
        <p class="quiet-text">{text(found.isDone ? 'asOfDone' : 'asOf', { time: time(atMs) })}</p>
      )}
    </>
  )
}

function Answer({ found: { cause, sinceMs, isDone } }: { found: Whereabouts }) {
  const text = useMessages(whereMessages)
  const { time } = useFormats()
  const { is, frees, link } = useWords(cause)
  return (
    <section class={`panel where-answer ${isDone ? 'good' : toneOf(cause)}`} aria-label={text('title')}>
      <p class="where-is" role="status">
        {is}
      </p>
      {frees && (
        <p>
          {frees} {link && <a href={link.href}>{link.name}</a>}
        </p>
      )}
      {sinceMs !== null && (
        <p class="quiet-text">
          {text('since', { time: time(sinceMs) })} <Age at={sinceMs} />
        </p>
      )}
    </section>
  )
}

/** What goes on by itself in a moment is no failure. */
const toneOf = (cause: Cause | undefined): string =>
  cause?.kind === 'behind' || (cause?.kind === 'sending' && cause.detail === null)
    ? ''
    : cause?.kind === 'dead_letter'
      ? 'bad'
      : 'warn'

type Words = { is: string; frees?: string; link?: { href: string; name: string } }

function useWords(cause: Cause | undefined): Words {
  const text = useMessages(whereMessages)
  const runbook = (section: string) => ({ href: `/docs/runbooks#${section}`, name: text('runbook') })
  if (!cause) return { is: text('done') }
  switch (cause.kind) {
    case 'not_found':
      return { is: text('not_found'), frees: text('not_foundFrees') }
    case 'silent': {
      const link = runbook('saldowalletabsent-and-saldobalancesabsent')
      return { is: text(`silent_${cause.service}`), frees: text(`silent_${cause.service}Frees`), link }
    }
    case 'refused':
      return { is: text('refused', cause), frees: text('refusedFrees', cause) }
    case 'relay':
      return { is: text('relay'), frees: text('relayFrees'), link: runbook('saldorelaywithoutleader') }
    case 'broker': {
      const link = runbook('saldoeventsnotpublished')
      return { is: text(`broker_${cause.service}`), frees: text(`broker_${cause.service}Frees`), link }
    }
    case 'sending': {
      const { detail } = cause
      if (detail === null) return { is: text('sending'), frees: text('sendingFrees') }
      const link = runbook('saldoeventsnotpublished')
      return { is: text('sendingFails', { detail }), frees: text('sendingFailsFrees'), link }
    }
    case 'paused':
      return {
        is: text('paused'),
        frees: text('pausedFrees'),
        link: { href: hashOf(['try']), name: text('pausedDo') },
      }
    case 'dead_letter': {
      const { cause: code, detail, isShown } = cause
      const shown = isShown ? ` ${text('dead_letterShown')}` : ''
      const link = { href: hashOf(['health']), name: text('dead_letterDo') }
      return {
        is: text('dead_letter', { cause: code, detail }) + shown,
        frees: text('dead_letterFrees'),
        link,
      }
    }
    case 'consumer': {
      const link = runbook('saldorecordsnotapplied')
      return { is: text('consumer', cause), frees: text('consumerFrees'), link }
    }
    case 'behind':
      return {
        is: cause.records === 0 ? text('behind') : text('behindMany', cause),
        frees: text('behindFrees'),
      }
  }
}

function Summary({ id, transaction }: { id: string; transaction: Transaction }) {
  const text = useMessages(whereMessages)
  const { amount, currency = null, postings } = transaction
  const [first] = postings ?? [transaction]
  const account = (one: string) => (
    <a href={hashOf(['accounts', one])}>
      <Id value={one} />
    </a>
  )
  return (
    <Panel title={text('transaction', { id })}>
      {postings ? (
        <p>{text('postings', { count: postings.length })}</p>
      ) : (
        <p>
          <Money amount={String(amount)} currency={currency} /> {text('from')}{' '}
          {account(transaction.account_id_from)} {text('to')} {account(transaction.account_id_to)}
        </p>
      )}
      {first && (
        <p>
          <a href={hashOf(['flow'], { account: first.account_id_from })}>{text('flowOf')}</a>
        </p>
      )}
    </Panel>
  )
}

/** The times of the live flow before the one of a station. */
const hopsOf = {
  committed: ['requested', 'decided'],
  published: [],
  applied: ['received'],
  visible: [],
} as const

const marks = { passed: '✓', waits: '…', failed: '✕', ahead: '', unknown: '?' } as const

function Way({ found: { stations, place }, hops }: { found: Whereabouts; hops: Hops | undefined }) {
  const text = useMessages(whereMessages)
  return (
    <Panel title={text('stations')}>
      <ol class="stations">
        {stations.map((station, index) => (
          <li key={station.name} class={`station ${station.state}`}>
            <span class="station-mark" aria-hidden="true">
              {marks[station.state]}
            </span>
            <div class="station-body">
              <h3>
                {text(station.name)} <span class="station-state">{text(station.state)}</span>
              </h3>
              <Times station={station} before={stations[index - 1]} hops={hops} />
              {station.name === 'published' && place && (
                <p>
                  <code>{text('place', place)}</code>
                </p>
              )}
              <p class="quiet-text">
                <strong>{text(`${station.name}Pattern`)}.</strong> {text(`${station.name}Text`)}{' '}
                <a href={`/docs/concepts#${lessons[station.name]}`}>{text('learn')}</a>
              </p>
            </div>
          </li>
        ))}
      </ol>
    </Panel>
  )
}

function Times(props: { station: Station; before: Station | undefined; hops: Hops | undefined }) {
  const { station, before, hops } = props
  const text = useMessages(whereMessages)
  const { time, duration } = useFormats()
  const { state, atMs } = station
  if (state !== 'passed') return null
  if (atMs === null) return <p class="quiet-text">{text('timeUnknown')}</p>
  const names = hopsOf[station.name].filter((name) => hops?.[name] != null)
  const sinceMs = before?.atMs
  return (
    <p class="station-times">
      <time dateTime={new Date(atMs).toISOString()}>{time(atMs, true)}</time>
      {sinceMs != null && <span>{text('later', { duration: duration(atMs - sinceMs) })}</span>}
      {names.map((name) => (
        <span key={name} class="quiet-text">
          {text(name)} {time(hops?.[name] ?? 0, true)}
        </span>
      ))}
    </p>
  )
}
