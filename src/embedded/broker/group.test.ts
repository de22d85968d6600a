import { afterEach, beforeEach, expect, test } from 'bun:test'
import { errorCodes } from './error-codes.ts'
import { Group, type JoinRequest } from './group.ts'

let group: Group

beforeEach(() => {
  group = new Group('readers', () => {})
})
afterEach(() => group.close())

const request = (changes: Partial<JoinRequest> = {}): JoinRequest => ({
  memberId: '',
  memberIdRequired: false,
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 10_000,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from('m') }],
  clientId: 'c',
  clientHost: '/127.0.0.1',
  ...changes,
})
const join = (changes?: Partial<JoinRequest>) => group.join(request(changes))
const protocols = (...names: string[]) => names.map((name) => ({ name, metadata: Buffer.from(name) }))
const nobody = new Map<string, Buffer>()

/** A group in which the first member leads and both have their part. */
async function twoMembers(changes: Partial<JoinRequest> = {}) {
  const { memberId: leader } = await join(changes)
  const follows = join(changes)
  await join({ ...changes, memberId: leader })
  const { memberId: follower, generation } = await follows
  const synced = group.sync(generation, follower, nobody)
  await group.sync(generation, leader, new Map([[follower, Buffer.from('part')]]))
  await synced
  return { leader, follower, generation }
}

test('a rebalance waits for members that were told their id, so that consumers started together share one generation', async () => {
  const { memberId } = await join({ memberIdRequired: true })
  const first = join()
  const second = join({ memberId, memberIdRequired: true })
  expect([(await first).generation, (await second).generation]).toEqual([1, 1])
})

test('but not for one that never comes back, once its session is over', async () => {
  await join({ memberIdRequired: true, sessionTimeoutMs: 20 })
  expect(await join()).toMatchObject({ errorCode: errorCodes.NONE, generation: 1 })
})

test('a member that waits for the others outlives its session', async () => {
  await join({ rebalanceTimeoutMs: 100 })
  expect(await join({ sessionTimeoutMs: 20, rebalanceTimeoutMs: 100 })).toMatchObject({ errorCode: errorCodes.NONE })
})

test('when the leader leaves, the oldest of the others leads', async () => {
  const { leader, follower, generation } = await twoMembers()
  expect(group.leave(leader)).toBe(errorCodes.NONE)
  expect(group.heartbeat(generation, follower)).toBe(errorCodes.REBALANCE_IN_PROGRESS)
  const joined = await join({ memberId: follower })
  expect(joined).toMatchObject({ generation: generation + 1, leader: follower, members: [{ memberId: follower }] })
})

test('a follower that repeats its join gets the same answer, a leader that does starts a new round', async () => {
  const { leader, follower, generation } = await twoMembers()
  expect(await join({ memberId: follower })).toMatchObject({ generation, members: [] })
  expect(group.describe().state).toBe('Stable')
  const leads = join({ memberId: leader })
  expect(group.heartbeat(generation, follower)).toBe(errorCodes.REBALANCE_IN_PROGRESS)
  await join({ memberId: follower })
  expect(await leads).toMatchObject({ generation: generation + 1, leader })
})

test('a member that comes with other subscriptions starts a new round', async () => {
  const { leader, follower, generation } = await twoMembers()
  const changed = join({ memberId: follower, protocols: [{ name: 'range', metadata: Buffer.from('another topic') }] })
  expect(group.heartbeat(generation, leader)).toBe(errorCodes.REBALANCE_IN_PROGRESS)
  await join({ memberId: leader })
  expect((await changed).generation).toBe(generation + 1)
})

test('while the parts are not assigned nobody may commit', async () => {
  const { memberId, generation } = await join()
  expect(group.checkCommit(generation, memberId)).toBe(errorCodes.REBALANCE_IN_PROGRESS)
  await group.sync(generation, memberId, nobody)
  expect(group.checkCommit(generation, memberId)).toBe(errorCodes.NONE)
})

test('a leader that never assigns is left out, and those who wait for it are told to join again', async () => {
  const { memberId: leader } = await join({ rebalanceTimeoutMs: 50 })
  const follows = join({ rebalanceTimeoutMs: 50 })
  await join({ memberId: leader, rebalanceTimeoutMs: 50 })
  const { memberId, generation } = await follows
  expect(await group.sync(generation, memberId, nobody)).toMatchObject({ errorCode: errorCodes.REBALANCE_IN_PROGRESS })
  expect(group.heartbeat(generation, leader)).toBe(errorCodes.UNKNOWN_MEMBER_ID)
  expect(await join({ memberId })).toMatchObject({ leader: memberId, members: [{ memberId }] })
})

test('the protocol is the one most members prefer among those all of them know', async () => {
  const first = join({ protocols: protocols('sticky', 'range', 'own') })
  const { memberId } = await first
  const second = join({ protocols: protocols('range', 'sticky') })
  const third = join({ protocols: protocols('range', 'sticky', 'other') })
  await join({ memberId, protocols: protocols('sticky', 'range', 'own') })
  expect((await second).protocol).toBe('range')
  expect((await third).protocol).toBe('range')
})

const refusals: [string, Partial<JoinRequest>, number][] = [
  ['a session without length', { sessionTimeoutMs: 0 }, errorCodes.INVALID_SESSION_TIMEOUT],
  ['an id that was never given', { memberId: 'stranger' }, errorCodes.UNKNOWN_MEMBER_ID],
  ['no protocol at all', { protocols: [] }, errorCodes.INCONSISTENT_GROUP_PROTOCOL],
  ['a protocol nobody else knows', { protocols: protocols('own') }, errorCodes.INCONSISTENT_GROUP_PROTOCOL],
  ['another kind of group', { protocolType: 'connect' }, errorCodes.INCONSISTENT_GROUP_PROTOCOL],
]

test.each(refusals)('refuses %s', async (_, changes, errorCode) => {
  await twoMembers()
  expect(await join(changes)).toMatchObject({ errorCode, generation: -1 })
  expect(group.describe().state).toBe('Stable')
})
