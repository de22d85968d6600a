/** The tour of five steps: a panel above the views, which stay usable. */
import './tour.css'
import { useEffect, useRef } from 'preact/hooks'
import { useMessages } from '../i18n.ts'
import { navigate } from '../router.ts'
import { useValue } from '../state.ts'
import { tourMessages } from './messages.ts'
import { endTour, goTo, type StepName, startTour, stepNames, tour } from './state.ts'
import { paid, StepButtons } from './steps.tsx'

export function Tour() {
  const state = useValue(tour)
  if (state === 'hidden') return null
  if (state === 'offered') return <Offer />
  const step = stepNames[state]
  return step ? <Step key={step} step={step} nth={state} /> : null
}

function Offer() {
  const text = useMessages(tourMessages)
  return (
    <section class="panel tour" aria-label={text('label')}>
      <div class="row">
        <strong>{text('offerTitle')}</strong>
        <span>{text('offerText')}</span>
        <button type="button" onClick={startTour}>
          {text('begin')}
        </button>
        <button type="button" class="quiet" onClick={endTour}>
          {text('notNow')}
        </button>
      </div>
    </section>
  )
}

/** Where each step is seen. */
function show(step: StepName): void {
  const transaction = paid.get()
  if (step === 'watch') navigate(['flow'])
  if (step === 'where' || step === 'pause') navigate(['transactions', ...(transaction ? [transaction] : [])])
}

function Step({ step, nth }: { step: StepName; nth: number }) {
  const text = useMessages(tourMessages)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    show(step)
    heading.current?.focus()
  }, [step])
  const isLast = nth === stepNames.length - 1
  const onKeyDown = ({ key }: KeyboardEvent) => {
    if (key === 'Escape') endTour()
  }
  return (
    <section class="panel tour" id="tour" aria-label={text('label')} onKeyDown={onKeyDown}>
      <p class="quiet-text">{text('progress', { step: nth + 1, steps: stepNames.length })}</p>
      <h2 tabIndex={-1} ref={heading}>
        {text(`${step}Title`)}
      </h2>
      <p>{text(`${step}Text`)}</p>
      <div class="tour-buttons">
        <StepButtons step={step} />
      </div>
      <div class="row">
        <button type="button" class="quiet" disabled={nth === 0} onClick={() => goTo(nth - 1)}>
          {text('back')}
        </button>
        {isLast ? (
          <button type="button" onClick={endTour}>
            {text('finish')}
          </button>
        ) : (
          <button type="button" class="quiet" onClick={() => goTo(nth + 1)}>
            {text('next')}
          </button>
        )}
        {!isLast && (
          <button type="button" class="quiet" onClick={endTour}>
            {text('close')}
          </button>
        )}
        <span class="quiet-text">{text('escape')}</span>
      </div>
    </section>
  )
}
