/**
 * Evaluates expressions of alerting rules over scrapes of a few services: the part of PromQL that
 * deploy/observability/rules.yml uses. The rest is refused. Parsed by the grammar of Prometheus itself; a
 * test holds the results against promtool.
 * https://prometheus.io/docs/prometheus/latest/querying/basics/
 */
import { parser } from '@prometheus-io/lezer-promql'
import { type History, keyOf, type Labels, type Point } from './history'

type SyntaxNode = ReturnType<typeof parser.parse>['topNode']
export type Sample = { labels: Labels; value: number }
type Value = number | Sample[]

/** The samples for which the expression is true at the time of the last scrape. Throws for what it lacks. */
export function evaluate(expression: string, history: History): Sample[] {
  const value = new Evaluation(expression, history).run()
  if (typeof value === 'number') throw new Error(`a number, not a vector: ${expression}`)
  return value
}

class Evaluation {
  readonly #text: string
  readonly #history: History

  constructor(text: string, history: History) {
    this.#text = text
    this.#history = history
  }

  run(): Value {
    return this.#valueOf(parser.parse(this.#text).topNode)
  }

  #valueOf(node: SyntaxNode): Value {
    switch (node.name) {
      case 'PromQL':
      case 'ParenExpr':
        return this.#valueOf(only(childrenOf(node), node))
      case 'NumberDurationLiteral':
        return Number(this.#textOf(node))
      case 'VectorSelector':
        return this.#history.now(this.#selectorOf(node))
      case 'AggregateExpr':
        return this.#aggregate(node)
      case 'FunctionCall':
        return this.#call(node)
      case 'BinaryExpr':
        return this.#combine(node)
    }
    throw unsupported(node, this.#text)
  }

  #textOf(node: SyntaxNode | null): string {
    return node ? this.#text.slice(node.from, node.to) : ''
  }

  /** The labels of which a selector says what they are. */
  #equalTo(node: SyntaxNode): Labels {
    const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
    const equal = matchers.filter((matcher) => this.#textOf(matcher.getChild('MatchOp')) === '=')
    return Object.fromEntries(
      equal.map((matcher) => [
        this.#textOf(matcher.getChild('LabelName')),
        JSON.parse(this.#textOf(matcher.getChild('StringLiteral'))) as string,
      ]),
    )
  }

  #selectorOf(node: SyntaxNode): (labels: Labels) => boolean {
    const name = this.#textOf(node.getChild('Identifier'))
    const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
    const tests = matchers.map((matcher): ((labels: Labels) => boolean) => {
      const label = this.#textOf(matcher.getChild('LabelName'))
      const wanted = JSON.parse(this.#textOf(matcher.getChild('StringLiteral'))) as string
      const operator = this.#textOf(matcher.getChild('MatchOp'))
      const pattern = operator.includes('~') ? new RegExp(`^(?:${wanted})$`) : undefined
      const isNegated = operator.startsWith('!')
      return (labels) => {
        const has = labels[label] ?? ''
        return (pattern ? pattern.test(has) : has === wanted) !== isNegated
      }
    })
    return (labels) => labels.__name__ === name && tests.every((test) => test(labels))
  }

  #vectorOf(node: SyntaxNode): Sample[] {
    const value = this.#valueOf(node)
    if (typeof value === 'number') throw unsupported(node, this.#text)
    return value
  }

  #aggregate(node: SyntaxNode): Sample[] {
    const modifier = node.getChild('AggregateModifier')
    const reduce = aggregations[this.#textOf(node.getChild('AggregateOp'))]
    const body = node.getChild('FunctionCallBody')
    if (!reduce || !body || (modifier && !modifier.getChild('By'))) throw unsupported(node, this.#text)
    const names = (modifier?.getChild('GroupingLabels')?.getChildren('LabelName') ?? []).map((label) =>
      this.#textOf(label),
    )
    const groups = Map.groupBy(this.#vectorOf(only(childrenOf(body), node)), ({ labels }) =>
      keyOf(pick(labels, names)),
    )
    return [...groups.values()].map((samples) => ({
      labels: pick(samples[0]?.labels ?? {}, names),
      value: reduce(samples.map(({ value }) => value)),
    }))
  }

  #call(node: SyntaxNode): Sample[] {
    const name = this.#textOf(node.getChild('FunctionIdentifier'))
    const args = childrenOf(node.getChild('FunctionCallBody') ?? node)
    const last = args.at(-1)
    if (!last) throw unsupported(node, this.#text)
    if (name === 'abs')
      return this.#vectorOf(last).map(({ labels, value }) => ({
        labels: nameless(labels),
        value: Math.abs(value),
      }))
    if (name === 'absent')
      return this.#vectorOf(last).length > 0 ? [] : [{ labels: this.#equalTo(last), value: 1 }]
    if (name === 'rate' || name === 'delta') return this.#change(last, name === 'rate')
    if (name === 'histogram_quantile') {
      const quantile = this.#valueOf(args[0] as SyntaxNode)
      if (typeof quantile === 'number') return quantiles(quantile, this.#vectorOf(last))
    }
    throw unsupported(node, this.#text)
  }

  #change(node: SyntaxNode, isCounter: boolean): Sample[] {
    const selector = node.getChild('VectorSelector')
    const rangeMs = msOf(this.#textOf(node.getChild('DurationExpr')))
    if (node.name !== 'MatrixSelector' || !selector) throw unsupported(node, this.#text)
    const ranges = this.#history.since(this.#selectorOf(selector), rangeMs)
    return ranges.flatMap(({ labels, points, startMs, endMs }) => {
      const change = extrapolated(points, { startMs, endMs, isCounter })
      if (change === undefined) return []
      return { labels: nameless(labels), value: isCounter ? change / (rangeMs / 1000) : change }
    })
  }

  #combine(node: SyntaxNode): Value {
    const [left, operator, right, ...more] = childrenOf(node)
    if (!left || !operator || !right || more.length > 0) throw unsupported(node, this.#text)
    const [a, b] = [this.#valueOf(left), this.#valueOf(right)]
    const sign = this.#textOf(operator)
    if (sign === 'unless' && typeof a !== 'number' && typeof b !== 'number') {
      const others = new Set(b.map(({ labels }) => keyOf(nameless(labels))))
      return a.filter(({ labels }) => !others.has(keyOf(nameless(labels))))
    }
    const compare = comparisons[sign]
    const compute = operations[sign]
    if (typeof a === 'number') throw unsupported(node, this.#text)
    const pairs = a.flatMap((sample) => {
      const other = typeof b === 'number' ? b : matching(b, sample.labels)?.value
      return other === undefined ? [] : [[sample, other] as const]
    })
    if (compare) return pairs.filter(([{ value }, other]) => compare(value, other)).map(([sample]) => sample)
    if (!compute) throw unsupported(node, this.#text)
    return pairs.map(([{ labels, value }, other]) => ({
      labels: nameless(labels),
      value: compute(value, other),
    }))
  }
}

const aggregations: Record<string, (values: number[]) => number> = {
  max: (values) => Math.max(...values),
  min: (values) => Math.min(...values),
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  count: (values) => values.length,
}
const comparisons: Record<string, (a: number, b: number) => boolean> = {
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
}
const operations: Record<string, (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
}

/** A duration such as `1m`, in milliseconds. NaN for others than one number and one unit. */
export function msOf(duration: string): number {
  const [, count, unit = ''] = /^(\d+)(ms|s|m|h|d)$/.exec(duration) ?? []
  return Number(count) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit] ?? Number.NaN)
}

type Range = { startMs: number; endMs: number; isCounter: boolean }

/**
 * The change of a series within a range, as Prometheus extrapolates it to the ends of the range: as far as
 * they are near, else by half of the usual distance, and never beyond the zero of a counter. Undefined for
 * fewer than two points. https://github.com/prometheus/prometheus, promql/functions.go, extrapolatedRate
 */
function extrapolated(points: readonly Point[], { startMs, endMs, isCounter }: Range): number | undefined {
  const [first, last] = [points[0], points.at(-1)]
  if (!first || !last || points.length < 2) return undefined
  const change = last.value - first.value + (isCounter ? lostToResets(points) : 0)
  const sampledMs = last.atMs - first.atMs
  const usualMs = sampledMs / (points.length - 1)
  const reach = (distanceMs: number) => (distanceMs >= usualMs * 1.1 ? usualMs / 2 : distanceMs)
  const toZeroMs = isCounter && change > 0 ? sampledMs * (first.value / change) : Number.POSITIVE_INFINITY
  const beforeMs = Math.min(reach(first.atMs - startMs), toZeroMs)
  return change * ((sampledMs + beforeMs + reach(endMs - last.atMs)) / sampledMs)
}

/** What a counter had before each reset. */
function lostToResets(points: readonly Point[]): number {
  let lost = 0
  let previous = 0
  for (const { value } of points) {
    if (value < previous) lost += previous
    previous = value
  }
  return lost
}

function quantiles(quantile: number, buckets: readonly Sample[]): Sample[] {
  const groups = Map.groupBy(buckets, ({ labels: { le: _, ...others } }) => keyOf(nameless(others)))
  return [...groups.values()].flatMap((group) => {
    const { le: _, ...labels } = nameless(group[0]?.labels ?? {})
    const sorted = group
      .map(({ labels: { le = '' }, value }) => ({
        bound: Number(le.replace('Inf', 'Infinity')),
        count: value,
      }))
      .sort((a, b) => a.bound - b.bound)
    return { labels, value: quantileOf(quantile, sorted) }
  })
}

/** Linear within its bucket; of the last one its lower bound. NaN where nothing was observed. */
function quantileOf(quantile: number, buckets: readonly { bound: number; count: number }[]): number {
  const total = buckets.at(-1)?.count ?? 0
  if (total === 0 || buckets.length < 2) return Number.NaN
  const rank = quantile * total
  const at = buckets.findIndex(({ count }) => count >= rank)
  const [below, bucket] = [buckets[at - 1], buckets[at]]
  if (!bucket || at === buckets.length - 1) return buckets.at(-2)?.bound ?? Number.NaN
  const [start, before] = [below?.bound ?? 0, below?.count ?? 0]
  return start + (bucket.bound - start) * ((rank - before) / (bucket.count - before))
}

const nameless = ({ __name__: _, ...labels }: Labels): Labels => labels
const pick = (labels: Labels, names: readonly string[]): Labels =>
  Object.fromEntries(names.flatMap((name) => (labels[name] ? [[name, labels[name]]] : [])))
const matching = (samples: readonly Sample[], labels: Labels): Sample | undefined =>
  samples.find((other) => keyOf(nameless(other.labels)) === keyOf(nameless(labels)))

function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = []
  for (let child = node.firstChild; child; child = child.nextSibling) children.push(child)
  return children
}

function only(nodes: SyntaxNode[], parent: SyntaxNode): SyntaxNode {
  const [node, ...more] = nodes
  if (!node || more.length > 0) throw new Error(`${parent.name} with ${nodes.length} parts`)
  return node
}

const unsupported = (node: SyntaxNode, text: string): Error =>
  new Error(`drills do not evaluate ${node.name}: ${text.slice(node.from, node.to)}`)
