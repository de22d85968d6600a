/** Tables of the benches of the whole path. */

export type PathCase = { connections: number; accounts: number; batch: number }
/** The rounds of each side, by its name. */
export type Measured = { case: PathCase; figures: Map<string, Figures[]> }

import type { Figures } from './path-costs.ts'

/** The median of each figure of a side, and with two sides the ratio, by round. */
export function reportPath({ case: { connections, accounts, batch }, figures }: Measured): void {
  const [[, ours = []] = [], [, theirs] = []] = [...figures]
  const batches = batch > 1 ? `, batches of ${batch}` : ''
  const rounds = `${ours.length} round${ours.length > 1 ? 's' : ''}`
  console.log(`\n${connections} connections over ${accounts} accounts${batches}; median of ${rounds}`)
  row('', ...figures.keys(), ...(theirs ? ['this/against', 'from', 'to'] : []))
  for (const name of ours[0]?.keys() ?? []) {
    const ratios = (theirs ?? []).map((their, round) => figureOf(ours[round], name) / figureOf(their, name))
    const cells = [...figures.values()].map((all) => show(median(all.map((each) => figureOf(each, name)))))
    const compared = theirs
      ? [median(ratios), Math.min(...ratios), Math.max(...ratios)].map((ratio) => show(ratio, 2))
      : []
    row(name, ...cells, ...compared)
  }
}

/** A column for each size, and how the last compares with the first. */
export function reportSizes(all: Map<string, Figures>): void {
  const columns = [...all.values()]
  const [first, last] = [columns[0], columns.at(-1)]
  console.log('')
  row('transactions', ...all.keys(), ...(columns.length > 1 ? ['last/first'] : []))
  for (const name of first?.keys() ?? []) {
    const ratio = columns.length > 1 ? [show(figureOf(last, name) / figureOf(first, name), 2)] : []
    row(name, ...columns.map((each) => show(figureOf(each, name))), ...ratio)
  }
}

const figureOf = (figures: Figures | undefined, name: string): number => figures?.get(name) ?? Number.NaN

export function median(values: number[]): number {
  const sorted = values.toSorted((left, right) => left - right)
  const half = sorted.length >> 1
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 ? half : half - 1], sorted[half]]
  return (low + high) / 2
}

export function show(value: number, digits = value < 1 ? 4 : value < 20 ? 2 : value < 1000 ? 1 : 0): string {
  return Number.isFinite(value)
    ? value.toLocaleString('en', {
        maximumFractionDigits: digits,
        minimumFractionDigits: digits > 2 ? 0 : digits,
      })
    : '–'
}

function row(first: string, ...others: string[]): void {
  console.log(`  ${first.padEnd(34)}${others.map((cell) => cell.padStart(14)).join('')}`)
}
