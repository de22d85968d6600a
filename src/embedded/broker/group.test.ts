import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { ErrorName } from './errors.ts'
import { Group, type JoinRequest } from './group.ts'

let group: Group
let ids = 0

beforeEach(() => {
  group = new Group('readers', () => {})
})
afterEach(() => group.close())

const request = (changes: Partial<JoinRequest> = {}): JoinRequest => ({
  memberId: `member ${++ids}`,
  isNew: false,
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 10_000,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from('m') }],
  clientId: 'c',
  clientHost: '/127.0.0.1',
  ...changes,
})
const protocols = (...names: string[]) => names.map((name) => ({ name, metadata: Buffer.from(name) }))
const nobody = new Map<string, Buffer>()
const refused = (code: ErrorName) => expect.objectContaining({ name: 'Refusal', code })
/** What is refused at once. */
const attempt = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    return error
  }
}

/** Comes without an id and is told one. */
async function announce(changes: Partial<JoinRequest> = {}): Promise<string> {
  const asked = request(changes)
  await expect(group.join({ ...asked, isNew: true })).rejects.toEqual(refused('MEMBER_ID_REQUIRED'))
  return asked.memberId
}

/** Joins, and comes again with the id when it has none. Answers with the id beside what the group says. */
async function join(changes: Partial<JoinRequest> = {}) {
  const memberId = changes.memberId ?? (await announce(changes))
  return { memberId, ...(await group.join(request({ ...changes, memberId }))) }
}

/** A group in which the first member leads and both have their part. */
async function twoMembers(changes: Partial<JoinRequest> = {}) {
  const { memberId: leader } = await join(changes)
  const memberId = await announce(changes)
  const follows = join({ ...changes, memberId })
  await join({ ...changes, memberId: leader })
  const { memberId: follower, generation } = await follows
  const synced = group.sync(generation, follower, nobody)
  await group.sync(generation, leader, new Map([[follower, Buffer.from('part')]]))
  await synced
  return { leader, follower, generation }
}

test('a rebalance waits for members that were told their id, so that consumers started together share one generation', async () => {
  const memberId = await announce()
  const first = join()
  const second = join({ memberId })
  expect([(await first).generation, (await second).generation]).toEqual([1, 1])
})

test('but not for one that never comes back, once its session is over', async () => {
  await announce({ sessionTimeoutMs: 20 })
  expect(await join()).toMatchObject({ generation: 1 })
})

test('a member that waits for the others outlives its session', async () => {
  await join({ rebalanceTimeoutMs: 100 })
  expect(await join({ sessionTimeoutMs: 20, rebalanceTimeoutMs: 100 })).toMatchObject({ generation: 2 })
})

test('when the leader leaves, the oldest of the others leads', async () => {
  const { leader, follower, generation } = await twoMembers()
  group.leave(leader)
  expect(attempt(() => group.heartbeat(generation, follower))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  const joined = await join({ memberId: follower })
  expect(joined).toMatchObject({ generation: generation + 1, leader: follower, members: [{ memberId: follower }] })
})

test('a follower that repeats its join gets the same answer, a leader that does starts a new round', async () => {
  const { leader, follower, generation } = await twoMembers()
  expect(await join({ memberId: follower })).toMatchObject({ generation, members: [] })
  expect(group.describe().state).toBe('Stable')
  const leads = join({ memberId: leader })
  expect(attempt(() => group.heartbeat(generation, follower))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  await join({ memberId: follower })
  expect(await leads).toMatchObject({ generation: generation + 1, leader })
})

test('a member that comes with other subscriptions starts a new round', async () => {
  const { leader, follower, generation } = await twoMembers()
  const changed = join({ memberId: follower, protocols: [{ name: 'range', metadata: Buffer.from('another topic') }] })
  expect(attempt(() => group.heartbeat(generation, leader))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  await join({ memberId: leader })
  expect((await changed).generation).toBe(generation + 1)
})

test('while the parts are not assigned nobody may commit', async () => {
  const { memberId, generation } = await join()
  expect(attempt(() => group.checkCommit(generation, memberId))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  await group.sync(generation, memberId, nobody)
  expect(attempt(() => group.checkCommit(generation, memberId))).toBeUndefined()
})

test('a leader that never assigns is left out, and those who wait for it are told to join again', async () => {
  const { memberId: leader } = await join({ rebalanceTimeoutMs: 50 })
  const follows = join({ memberId: await announce({ rebalanceTimeoutMs: 50 }), rebalanceTimeoutMs: 50 })
  await join({ memberId: leader, rebalanceTimeoutMs: 50 })
  const { memberId, generation } = await follows
  await expect(group.sync(generation, memberId, nobody)).rejects.toEqual(refused('REBALANCE_IN_PROGRESS'))
  expect(attempt(() => group.heartbeat(generation, leader))).toEqual(refused('UNKNOWN_MEMBER_ID'))
  expect(await join({ memberId })).toMatchObject({ leader: memberId, members: [{ memberId }] })
})

test('the protocol is the one most members prefer among those all of them know', async () => {
  const { memberId } = await join({ protocols: protocols('sticky', 'range', 'own') })
  const ids = [await announce({ protocols: protocols('range') }), await announce({ protocols: protocols('range') })]
  const second = join({ memberId: ids[0], protocols: protocols('range', 'sticky') })
  const third = join({ memberId: ids[1], protocols: protocols('range', 'sticky', 'other') })
  await join({ memberId, protocols: protocols('sticky', 'range', 'own') })
  expect((await second).protocol).toBe('range')
  expect((await third).protocol).toBe('range')
})

const refusals: [string, Partial<JoinRequest>, ErrorName][] = [
  ['a session without length', { sessionTimeoutMs: 0 }, 'INVALID_SESSION_TIMEOUT'],
  ['an id that was never given', { memberId: 'stranger', isNew: false }, 'UNKNOWN_MEMBER_ID'],
  ['no protocol at all', { protocols: [] }, 'INCONSISTENT_GROUP_PROTOCOL'],
  ['a protocol nobody else knows', { protocols: protocols('own') }, 'INCONSISTENT_GROUP_PROTOCOL'],
  ['another kind of group', { protocolType: 'connect' }, 'INCONSISTENT_GROUP_PROTOCOL'],
]

test.each(refusals)('refuses %s', async (_, changes, code) => {
  await twoMembers()
  await expect(group.join(request({ isNew: true, ...changes }))).rejects.toEqual(refused(code))
  expect(group.describe().state).toBe('Stable')
})
