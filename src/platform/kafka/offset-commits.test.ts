import { expect, test } from 'bun:test'
import { eventually } from '../../testing/eventually'
import { OffsetCommits } from './offset-commits'

const at = (partition: number, offset: number) => ({ topic: 't', partition, offset: BigInt(offset) })

/** What was committed, by request: `partition:offset`. */
function playedGroup() {
  const requests: string[][] = []
  let refusing = false
  return {
    requests,
    refuse: (on: boolean) => {
      refusing = on
    },
    commit: async (offsets?: { topics: { partitions: { partition: number; offset: string }[] }[] }) => {
      if (refusing) throw new Error('the group is rebalancing')
      const partitions = offsets?.topics.flatMap((one) => one.partitions) ?? []
      requests.push(partitions.map(({ partition, offset }) => `${partition}:${offset}`))
    },
  }
}

test('all partitions are committed in one request, a second after the first', async () => {
  const { requests, commit } = playedGroup()
  const commits = new OffsetCommits()
  const begun = performance.now()
  for (let offset = 1; offset <= 100; offset++) commits.add([at(0, offset), at(1, offset * 2)], commit)
  await eventually(() => expect(requests).toEqual([['0:100', '1:200']]))
  expect(performance.now() - begun).toBeGreaterThan(900)
})

test('a flush commits at once, and what failed is committed again with the next', async () => {
  const { requests, commit, refuse } = playedGroup()
  const commits = new OffsetCommits()
  refuse(true)
  commits.add([at(0, 5), at(1, 5)], commit)
  await commits.flush()
  refuse(false)
  commits.add([at(0, 6)], commit)
  await commits.flush()
  await commits.flush()
  expect(requests).toEqual([['0:6', '1:5']])
})

test('nothing of a former assignment is committed', async () => {
  const { requests, commit, refuse } = playedGroup()
  const commits = new OffsetCommits()
  refuse(true)
  commits.add([at(0, 5)], commit)
  const failing = commits.flush()
  commits.forget()
  await failing
  refuse(false)
  commits.add([at(1, 7)], commit)
  await commits.flush()
  expect(requests).toEqual([['1:7']])
})
