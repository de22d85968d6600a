/**
 * Plots rates over connections as SVG: one panel per number of accounts, both axes logarithmic, one
 * line per subject.
 */

export type Rates = { accounts: number; connections: number; rates: Map<string, number> }

const panel = { width: 380, height: 300, left: 56, top: 40, gap: 70 }
const colours = ['#0b6e4f', '#7fb069', '#3d5a80', '#e07a5f', '#8d6a9f', '#b08900', '#999999']
const title = 'Transfers a second over connections, both axes logarithmic'
const style =
  'text{font:12px sans-serif;fill:#555} .grid{stroke:#8886;stroke-width:.5} .line{fill:none;stroke-width:2}'

export function plotRates(all: Rates[]): string {
  const names = [...new Set(all.flatMap(({ rates }) => [...rates.keys()]))]
  const values = all.flatMap(({ rates }) => [...rates.values()])
  const decades = [
    Math.floor(Math.log10(Math.min(...values))),
    Math.ceil(Math.log10(Math.max(...values))),
  ] as const
  const panels = [...Map.groupBy(all, ({ accounts }) => accounts)]
  const width = panels.length * (panel.width + panel.gap) + panel.left + 180
  const drawn = panels.map(([accounts, cases], index) => {
    const x = panel.left + index * (panel.width + panel.gap)
    return drawPanel(`${accounts.toLocaleString('en')} accounts`, cases, { names, decades, x })
  })
  const legend = names.map((name, index) => {
    const [x, y] = [width - 190, panel.top + 20 + index * 20]
    const ends = `x1="${x}" x2="${x + 18}" y1="${y}" y2="${y}"`
    return `<line ${ends} stroke="${colours[index]}" stroke-width="2"/>${label(name, x + 24, y + 4)}`
  })
  const height = panel.height + panel.top + 50
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}">
<title>${title}</title><style>${style}</style>
<rect width="100%" height="100%" fill="#fff"/>
${[...drawn, ...legend].join('\n')}
</svg>
`
}

type Panel = { names: string[]; decades: readonly [number, number]; x: number }

function drawPanel(title: string, cases: Rates[], { names, decades: [low, high], x }: Panel): string {
  const connections = cases.map((one) => one.connections).toSorted((a, b) => a - b)
  const across = (count: number) => {
    const [first = 1, last = 1] = [connections[0], connections.at(-1)].map((end) => Math.log2(end ?? 1))
    return (
      x + (last === first ? panel.width / 2 : ((Math.log2(count) - first) / (last - first)) * panel.width)
    )
  }
  const up = (rate: number) => panel.top + panel.height * (1 - (Math.log10(rate) - low) / (high - low))
  const parts = [
    label(title, x, panel.top - 16),
    label('connections', x + panel.width - 70, panel.top + panel.height + 36),
  ]
  for (let power = low; power <= high; power++) {
    const y = up(10 ** power)
    parts.push(`<line class="grid" x1="${x}" x2="${x + panel.width}" y1="${y}" y2="${y}"/>`)
    parts.push(label(`${(10 ** power).toLocaleString('en')}/s`, x - 52, y + 4))
  }
  for (const count of connections)
    parts.push(label(String(count), across(count) - 6, panel.top + panel.height + 18))
  for (const [index, name] of names.entries()) {
    const points = cases
      .toSorted((a, b) => a.connections - b.connections)
      .flatMap(({ connections, rates }) => {
        const rate = rates.get(name)
        return rate === undefined ? [] : [`${across(connections).toFixed(1)},${up(rate).toFixed(1)}`]
      })
    const dots = points.map(
      (point) =>
        `<circle cx="${point.split(',')[0]}" cy="${point.split(',')[1]}" r="3" fill="${colours[index]}"/>`,
    )
    parts.push(
      `<polyline class="line" stroke="${colours[index]}" points="${points.join(' ')}"/>${dots.join('')}`,
    )
  }
  return parts.join('\n')
}

const label = (text: string, x: number, y: number): string => `<text x="${x}" y="${y}">${text}</text>`
