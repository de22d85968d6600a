/** A plot over time, with its newest values as text for those who do not see it. */
import 'uplot/dist/uPlot.min.css'
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { useFormats } from './i18n.ts'
import { useValue } from './state.ts'
import { theme } from './theme.ts'

/** Colours of lines, in the order in which they differ most. */
export const tones = ['accent', 'warn', 'blue', 'violet', 'bad'] as const
export type Tone = (typeof tones)[number]

export type Line = {
  label: string
  values: readonly (number | null)[]
  tone?: Tone
  /** The newest value in words, where the number is not exact. */
  newest?: string
}

type Props = {
  title: string
  /** Seconds since 1970, ascending. */
  at: readonly number[]
  lines: readonly Line[]
  unit?: string
  height?: number
  /** Points are joined at right angles: a value holds until the next one. */
  isStepped?: boolean
}

export function Plot({ title, at, lines, unit = '', height = 140, isStepped = false }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const { number, tick } = useFormats()
  const chosen = useValue(theme)
  const shape = lines.map(({ label }) => label).join()

  // Drawn on a canvas, which has to follow the language and the theme.
  useEffect(() => {
    const element = box.current
    if (!element) return
    const style = getComputedStyle(element)
    const colour = (name: string) => resolve(element, style.getPropertyValue(name))
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 } }
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { drag: { x: false, y: false } },
        scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.1)] } },
        axes: [
          { ...axis, space: 70, values: (_, ticks) => ticks.map((at) => tick(at * 1000, spanOf(ticks))) },
          { ...axis, size: 62, values: (_, ticks) => ticks.map((value) => `${number(value)}${unit}`) },
        ],
        series: [
          {},
          ...lines.map(({ label, tone = 'accent' }) => ({
            label,
            stroke: colour(`--${tone}`),
            width: 1.5,
            points: { show: false },
            ...(isStepped && { paths: uPlot.paths.stepped?.({ align: 1 }) }),
          })),
        ] as uPlot.Series[],
      },
      dataOf(at, lines),
      element,
    )
    plot.current = made
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }))
    resized.observe(element)
    return () => {
      resized.disconnect()
      made.destroy()
      plot.current = undefined
    }
  }, [shape, chosen, number(1.5), unit, height, isStepped])
  useEffect(() => plot.current?.setData(dataOf(at, lines)), [at, lines])

  const newest = lines.map(({ label, values, newest }) => {
    if (newest !== undefined) return `${label}: ${newest}`
    const value = values.at(-1)
    return `${label}: ${value === null || value === undefined ? '—' : `${number(value)}${unit}`}`
  })
  return (
    <figure class="plot">
      <figcaption>
        <span class="plot-title">{title}</span> <span class="quiet-text">{newest.join(' · ')}</span>
      </figcaption>
      <div ref={box} aria-hidden="true" />
    </figure>
  )
}

const spanOf = (ticks: readonly number[]): number => (ticks.at(-1) ?? 0) - (ticks[0] ?? 0)

const dataOf = (at: readonly number[], lines: readonly Line[]): uPlot.AlignedData =>
  [at, ...lines.map(({ values }) => values)] as unknown as uPlot.AlignedData

/** A canvas does not know `light-dark()`: the element that is drawn on does. */
function resolve(element: HTMLElement, value: string): string {
  const before = element.style.color
  element.style.color = value
  const resolved = getComputedStyle(element).color
  element.style.color = before
  return resolved
}
