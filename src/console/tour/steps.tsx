/** What the buttons of the tour do, and what each says it has done. */
import { useState } from 'preact/hooks'
import { CallFailed, newKey, problemOf, send, settings } from '../api.ts'
import { useFormats, useMessages } from '../i18n.ts'
import { navigate } from '../router.ts'
import { createState, useValue } from '../state.ts'
import { type ActionName, type Form, obstacleOf } from '../try/actions.ts'
import { attempt } from '../try/attempts.ts'
import { tryMessages } from '../try/messages.ts'
import { Refusal } from '../try/refusal.tsx'
import { formOf, listAccounts } from '../try/view.tsx'
import { tourMessages } from './messages.ts'
import type { StepName } from './state.ts'

/** The last payment of the tour, which later steps show. */
export const paid = createState<string | undefined>(undefined)

type Text = keyof (typeof tourMessages)['en']
/** Returns what to say; throws a failure. */
type Work = () => Promise<{ done: Text; values?: Record<string, string | number> }>

export function StepButtons({ step }: { step: StepName }) {
  const { duration } = useFormats()
  if (step === 'pay') return <StepButton label="payDo" needs={['pay']} work={payOnce} />
  if (step === 'watch') return <StepButton label="watchDo" needs={['pay']} work={payAgain} />
  if (step === 'where') return <WhereHint />
  if (step === 'pause')
    return (
      <>
        <StepButton label="pauseDo" needs={['pause', 'pay']} work={pauseAndPay} />
        <StepButton label="resumeDo" needs={['resume']} work={() => run('resume', 'resumeDone')} />
      </>
    )
  return (
    <>
      <StepButton label="readDo" needs={['pay']} work={() => payAndRead(duration)} />
      <StepButton label="rebuildDo" needs={['rebuild']} work={rebuild} />
    </>
  )
}

function WhereHint() {
  const text = useMessages(tourMessages)
  return useValue(paid) === undefined ? <p>{text('whereEmpty')}</p> : null
}

function StepButton({ label, needs, work }: { label: Text; needs: ActionName[]; work: Work }) {
  const [text, tryText] = [useMessages(tourMessages), useMessages(tryMessages)]
  const current = useValue(settings)
  const [state, setState] = useState<{
    isRunning?: boolean
    said?: Awaited<ReturnType<Work>>
    error?: unknown
  }>({})
  const obstacle = needs.map((name) => obstacleOf(name, current, undefined)).find((one) => one !== undefined)
  const press = async () => {
    setState({ isRunning: true })
    await work().then(
      (said) => setState({ said }),
      (error) => setState({ error }),
    )
  }
  const { isRunning = false, said, error } = state
  return (
    <div>
      <button type="button" disabled={obstacle !== undefined || isRunning} onClick={press}>
        {isRunning ? tryText('running') : text(label)}
      </button>
      {obstacle && <p class="warn-text">{text('notPossible', { reason: tryText(obstacle) })}</p>}
      <div aria-live="polite">{said && <p class="good-text">{text(said.done, said.values)}</p>}</div>
      {error !== undefined && <Refusal error={error} />}
    </div>
  )
}

const form = async (): Promise<Form> => formOf({}, await listAccounts().catch(() => []))

async function run(name: ActionName, done: Text) {
  const made = await attempt(name, { ...(await form()), key: newKey(), hold: undefined })
  if (made.error !== undefined) throw made.error
  return { done, body: made.exchanges[0]?.body as Record<string, unknown> }
}

async function payOnce() {
  const { done, body } = await run('pay', 'payDone')
  paid.set(String(body.id))
  return { done }
}

async function payAgain() {
  await payOnce()
  return { done: 'watchDone' as const }
}

async function pauseAndPay() {
  await run('pause', 'pauseDone')
  await payOnce()
  navigate(['transactions', paid.get() ?? ''])
  return { done: 'pauseDone' as const }
}

async function rebuild() {
  const { done } = await run('rebuild', 'rebuildDone')
  navigate(['health'])
  return { done }
}

/** Seconds. */
const waitMax = 5

/** With the token of the payment: the read waits until balances has its version. */
async function payAndRead(duration: (ms: number) => string) {
  const { from, to, amount } = await form()
  const body = { account_id_from: from, account_id_to: to, amount }
  const headers = { 'idempotency-key': `"${newKey()}"` }
  const payment = await send('wallet', '/transactions', { method: 'POST', headers, body })
  if (payment.status >= 300) throw new CallFailed('wallet', problemOf(payment.status, payment.body))
  paid.set(String(payment.body.id))
  const startedMs = performance.now()
  const token = payment.headers.get('consistency-token') ?? ''
  const read = await send('balances', `/balances/${from}`, {
    headers: { 'consistency-token': token, prefer: `wait=${waitMax}` },
  })
  if (read.status >= 300) throw new CallFailed('balances', problemOf(read.status, read.body))
  const values = {
    version: String(payment.body.version_account_id_from),
    read: String(read.body.version),
    time: duration(performance.now() - startedMs),
  }
  return { done: 'readDone' as const, values }
}
