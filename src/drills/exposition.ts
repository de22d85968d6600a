/** Reads the text format 0.0.4 of Prometheus, as `/metrics` answers it. */

export type Series = { name: string; labels: Record<string, string>; value: number }

export type Scraped = {
  series: Series[]
  /** By metric, without the suffixes of histograms. */
  types: Map<string, string>
  help: Map<string, string>
  /** The values of a metric, or of those of its series that have these labels. */
  values(name: string, labels?: Readonly<Record<string, string>>): number[]
}

/** Throws for a line that is not of the format. */
export function parseText(text: string): Scraped {
  const comments = (keyword: string) =>
    new Map(
      Array.from(
        text.matchAll(new RegExp(`^# ${keyword} (\\S+) (.*)$`, 'gm')),
        ([, name = '', rest = '']) => [name, rest],
      ),
    )
  const series = text.split('\n').flatMap((line): Series[] => {
    if (line === '' || line.startsWith('#')) return []
    const [, name = '', list = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (value === undefined) throw new Error(`not a line of the text format: ${line}`)
    const pairs = Array.from(list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g), ([, label = '', of = '']) => [
      label,
      of,
    ])
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value.replace('Inf', 'Infinity')) }]
  })
  return {
    series,
    types: comments('TYPE'),
    help: comments('HELP'),
    values: (name, labels = {}) =>
      series
        .filter((one) => one.name === name)
        .filter((one) => Object.entries(labels).every(([label, value]) => one.labels[label] === value))
        .map(({ value }) => value),
  }
}
