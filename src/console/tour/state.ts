/** Where somebody is in the tour. That it was seen is remembered in this browser. */
import { createState } from '../state.ts'

export const stepNames = ['pay', 'watch', 'where', 'pause', 'read'] as const
export type StepName = (typeof stepNames)[number]

/** `offered` on the first visit, then the number of a step. */
export type TourState = 'hidden' | 'offered' | number

const storageKey = 'saldo-tour'

export const tour = createState<TourState>('hidden')

/** Once, when the page starts. */
export function offerTour(): void {
  if (localStorage.getItem(storageKey) === null) tour.set('offered')
}

export const startTour = (): void => goTo(0)

export function goTo(step: number): void {
  remember()
  tour.set(step)
}

export function endTour(): void {
  remember()
  tour.set('hidden')
}

const remember = () => localStorage.setItem(storageKey, 'seen')
