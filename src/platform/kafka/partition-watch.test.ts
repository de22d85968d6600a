import { expect, test } from 'bun:test'
import { PartitionWatch } from './partition-watch'

const ok = (requestedAtMs: number, answeredAtMs: number) => ({ requestedAtMs, answeredAtMs, isError: false })
const failed = (requestedAtMs: number, answeredAtMs: number) => ({
  ...ok(requestedAtMs, answeredAtMs),
  isError: true,
})

test.each([
  ['the first answer', [], ok(1000, 1500), 1000],
  ['asked again at once, however long an answer takes', [ok(0, 500), ok(500, 9000)], ok(9001, 9002), 0],
  ['asked again after as long as it may take', [ok(0, 500)], ok(600, 601), 0],
  ['asked again later', [ok(0, 500)], ok(601, 602), 601],
  ['an answer with an error in between', [ok(0, 500), failed(500, 510)], ok(520, 521), 520],
  ['answers after the first one since then', [ok(0, 500), failed(500, 510), ok(520, 521)], ok(522, 600), 520],
  ['an answer that never came', [ok(0, 500)], ok(1500, 1501), 1500],
] as const)(
  'a partition is watched since its first request without a gap: %s',
  (_, before, answer, since) => {
    const watch = new PartitionWatch()
    for (const one of before) watch.note('t/0', one)
    // Of another partition.
    watch.note('t/1', failed(0, 1))
    expect(watch.note('t/0', answer)).toBe(since)
  },
)
