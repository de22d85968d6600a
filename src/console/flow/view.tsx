/** The live flow: every transfer as a lane, the newest first. */
import './flow.css'
import { Fragment } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { settings } from '../api.ts'
import { useFormats, useMessages } from '../i18n.ts'
import { hopNames, type Lane } from '../lanes.ts'
import { type Live, lanesMax, reopenLive, type Sample, useLive } from '../live.ts'
import { shellMessages } from '../messages.ts'
import { hashOf, navigate, useRoute } from '../router.ts'
import { useValue } from '../state.ts'
import { Copyable, Empty, Failure } from '../ui.tsx'
import { countNew, type Filter, filterOf, passing, perSecond, queryOf } from './following.ts'
import { hops, linkOf } from './hops.ts'
import { LaneItem } from './lane.tsx'
import { flowMessages } from './messages.ts'

/** In the document. As many again are kept. */
const shownMax = 100
/** An older sample says nothing about now, in milliseconds. */
const sampleAgeMax = 3500
/** Records that wait for less are in flight, in seconds. */
const behindMin = 5

export function FlowView() {
  const text = useMessages(flowMessages)
  const name = useMessages(shellMessages)
  const filter = filterOf(useRoute().query)
  const live = useLive(filter.account)
  const newest = live.samples.at(-1)
  const isFresh = newest && live.isOpen && Date.now() - Date.parse(newest.at) < sampleAgeMax
  return (
    <div class="flow">
      <h1>{name('flow')}</h1>
      <p class="quiet-text">{text('intro')}</p>
      {live.error !== undefined && <Failure error={live.error} onRetry={reopenLive} />}
      <section class="flow-now" aria-label={text('now')}>
        <p role="status" class={live.isOpen ? 'connection open' : 'connection'}>
          {text(live.isOpen ? 'live' : 'reconnecting')}
        </p>
        {isFresh && <Now sample={newest} />}
      </section>
      {isFresh && <Urgent sample={newest} />}
      <How />
      <Filters filter={filter} />
      <Following key={JSON.stringify(filter)} live={live} filter={filter} />
    </div>
  )
}

function Now({ sample }: { sample: Sample }) {
  const text = useMessages(flowMessages)
  const { number, duration, time } = useFormats()
  const { seconds, sampled, latency_ms: latency, lag, rebuild, entries_elsewhere: elsewhere } = sample
  const [offered, shown] = [perSecond(sample.offered, seconds), perSecond(sample.shown, seconds)]
  const waiting = lag?.reduce((sum, { records }) => sum + records, 0)
  return (
    <>
      <p class="rate">
        {text(sampled ? 'rateSome' : sample.offered > 0 ? 'rateAll' : 'rateNone', {
          offered: number(offered),
          shown: number(shown),
        })}
      </p>
      {latency && <p>{text('latency', { p50: duration(latency.p50), p99: duration(latency.p99) })}</p>}
      {waiting !== undefined && <p>{text('lag', { count: number(waiting) })}</p>}
      {elsewhere > 0 && <p>{text('elsewhere', { count: number(elsewhere) })}</p>}
      {rebuild?.state === 'building' && (
        <p>
          {text('rebuild', {
            state: rebuild.state,
            progress: rebuild.progress === null ? '' : number(rebuild.progress, { style: 'percent' }),
          })}
        </p>
      )}
      <p class="quiet-text">{text('asOf', { time: time(sample.at) })}</p>
    </>
  )
}

/** Failures first. */
function Urgent({ sample }: { sample: Sample }) {
  const text = useMessages(flowMessages)
  const { number, duration } = useFormats()
  const { dead_letters: letters, paused, lag } = sample
  const oldest = Math.max(0, ...(lag ?? []).map((one) => one.oldest_age_seconds ?? 0))
  const isBehind = !paused && oldest >= behindMin
  if (!letters && !paused && !isBehind) return null
  return (
    <section class={letters ? 'panel bad' : 'panel warn'} aria-label={text('failures')}>
      {letters !== null && letters > 0 && (
        <p>{letters === 1 ? text('deadLettersOne') : text('deadLetters', { count: number(letters) })}</p>
      )}
      {paused && <p>{text('paused')}</p>}
      {isBehind && <p>{text('behind', { age: duration(1000 * oldest) })}</p>}
      <p>
        <a href={hashOf(['health'])}>{text('toHealth')}</a>
      </p>
    </section>
  )
}

function How() {
  const text = useMessages(flowMessages)
  return (
    <details class="flow-how">
      <summary>{text('how')}</summary>
      <p>{text('howText')}</p>
      <dl>
        {hopNames.map((name) => (
          <Fragment key={name}>
            <dt class={hops[name].stage}>{text(hops[name].name)}</dt>
            <dd>
              <a href={linkOf(hops[name])}>{text(hops[name].pattern)}</a>. {text(hops[name].text)}
            </dd>
          </Fragment>
        ))}
      </dl>
    </details>
  )
}

function Filters({ filter }: { filter: Filter }) {
  const text = useMessages(flowMessages)
  const use = (changes: Partial<Filter>) => navigate(['flow'], queryOf({ ...filter, ...changes }))
  return (
    <form class="flow-filters row" aria-label={text('filters')} onSubmit={(event) => event.preventDefault()}>
      <label>
        {text('account')}
        <input
          name="account"
          autocomplete="off"
          spellcheck={false}
          placeholder={text('accountHint')}
          value={filter.account ?? ''}
          onChange={({ currentTarget }) => use({ account: currentTarget.value.trim() || undefined })}
        />
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={filter.onlyFailures}
          onChange={({ currentTarget }) => use({ onlyFailures: currentTarget.checked })}
        />
        {text('onlyFailures')}
      </label>
      {(filter.account !== undefined || filter.onlyFailures) && (
        <a class="button quiet" href={hashOf(['flow'])}>
          {text('clear')}
        </a>
      )}
    </form>
  )
}

function Following({ live, filter }: { live: Live; filter: Filter }) {
  const text = useMessages(flowMessages)
  const { number } = useFormats()
  const [isPressed, setPressed] = useState(false)
  /** By the pointer or the focus: what is about to be read or clicked stays where it is. */
  const [isWithin, setWithin] = useState(false)
  const held = useRef<readonly Lane[]>([])
  const [, render] = useState({})
  const isHeld = isPressed || isWithin
  if (!isHeld || held.current.length === 0) held.current = live.lanes
  const [lanes, all] = [passing(held.current, filter), passing(live.lanes, filter)]
  const fresh = isHeld ? countNew(all, lanes) : 0
  // Older ones are not kept.
  const areMore = fresh === all.length && live.lanes.length >= lanesMax
  const showNew = () => {
    held.current = live.lanes
    render({})
  }
  return (
    <>
      <div class="follow">
        <button type="button" class="quiet" aria-pressed={isPressed} onClick={() => setPressed(!isPressed)}>
          {text(isPressed ? 'resume' : 'pause')}
        </button>
        <span role="status">{text(isPressed ? 'pausedNow' : isWithin ? 'pausedHere' : 'follow')}</span>
        {fresh > 0 && (
          <>
            <span class="new-lanes">
              {text(areMore ? 'newLanesMax' : 'newLanes', { count: number(fresh) })}
            </span>
            <button type="button" class="quiet" onClick={showNew}>
              {text('showNew')}
            </button>
          </>
        )}
      </div>
      <ol
        class="lanes"
        aria-label={text('lanes')}
        onPointerEnter={({ pointerType }) => pointerType === 'mouse' && setWithin(true)}
        onPointerLeave={({ pointerType }) => pointerType === 'mouse' && setWithin(false)}
        onFocusIn={() => setWithin(true)}
        onFocusOut={({ currentTarget, relatedTarget }) =>
          setWithin(relatedTarget instanceof Node && currentTarget.contains(relatedTarget))
        }
      >
        {lanes.slice(0, shownMax).map((lane) => (
          <LaneItem key={lane.key} lane={lane} />
        ))}
      </ol>
      {lanes.length === 0 && <Nothing live={live} filter={filter} />}
      {lanes.length > shownMax && <p class="quiet-text">{text('more', { count: number(shownMax) })}</p>}
    </>
  )
}

/** What to do so that there is something. */
function Nothing({ live, filter }: { live: Live; filter: Filter }) {
  const text = useMessages(flowMessages)
  const current = useValue(settings)
  if (!live.isOpen) return <Empty title={text('connecting')} />
  if (filter.onlyFailures) return <Empty title={text('emptyFailures')} />
  const [before = '', after = ''] = text('emptyText').split('{try}')
  const [from, to] = current?.local ? samples : ['ACCOUNT_ID_FROM', 'ACCOUNT_ID_TO']
  const body = `{"account_id_from":"${filter.account ?? from}","account_id_to":"${to}","amount":1}`
  const url = `${current?.wallet_url?.replace(/\/$/, '') ?? 'http://localhost:8080'}/transactions`
  return (
    <Empty title={text(filter.account === undefined ? 'empty' : 'emptyFiltered')}>
      <p>
        {before}
        <a href={hashOf(['try'])}>{text('try')}</a>
        {after}
      </p>
      <Copyable value={`curl ${url} -H 'Content-Type: application/json' -d '${body}'`} />
    </Empty>
  )
}

/** Accounts of the sample data, which `npm start` has. */
const samples = ['d6a41403-bbd0-11ee-8a24-0242ac120003', 'd6a41504-bbd0-11ee-8a24-0242ac120003'] as const
