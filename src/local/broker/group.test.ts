import { afterEach, beforeEach, expect, jest, test } from 'bun:test'
import type { ErrorName } from './errors.ts'
import { Group, Groups, type JoinRequest } from './group.ts'

let group: Group

beforeEach(() => {
  jest.useFakeTimers()
  group = new Group('readers', () => {})
})
afterEach(() => {
  group.close()
  expect(jest.getTimerCount()).toBe(0)
  jest.useRealTimers()
})

const request = (changes: Partial<JoinRequest> = {}): JoinRequest => ({
  memberId: '',
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 10_000,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from('m') }],
  clientId: 'c',
  clientHost: '/127.0.0.1',
  ...changes,
})
const join = (changes: Partial<JoinRequest> = {}) => group.join(request(changes))
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

// Not `rejects`, which holds up everything, the timeout of the test included, when the answer never comes.
const failure = (answer: Promise<unknown>) => answer.catch((error) => error)

/** Time goes by, and all that was answered meanwhile arrives. */
async function pass(ms: number) {
  jest.advanceTimersByTime(ms)
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

/** Both have joined, and neither has asked for its part. */
async function twoJoined(leads: Partial<JoinRequest> = {}, follows = leads) {
  const { memberId: leader } = await join(leads)
  const second = join(follows)
  await join({ ...leads, memberId: leader })
  const { memberId: follower, generation } = await second
  return { leader, follower, generation }
}

/** A group in which the first member leads and both have their part. */
async function twoMembers(leads: Partial<JoinRequest> = {}, follows = leads) {
  const { leader, follower, generation } = await twoJoined(leads, follows)
  const synced = group.sync(generation, follower, nobody)
  await group.sync(generation, leader, new Map([[follower, Buffer.from('part')]]))
  expect((await synced).assignment.toString()).toBe('part')
  return { leader, follower, generation }
}

test('a member without an id is given one and is in at once, and every other has to join again', async () => {
  const joined = await join()
  const { memberId } = joined
  expect(memberId).toMatch(/^c-.+/)
  expect(joined).toMatchObject({ leader: memberId, generation: 1, members: [{ memberId }] })
  const second = join()
  expect(attempt(() => group.heartbeat(1, memberId))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  const again = await join({ memberId })
  expect(again).toMatchObject({ generation: 2, leader: memberId, members: [{ memberId }, {}] })
  expect(await second).toMatchObject({ generation: 2, leader: memberId, members: [] })
})

test('a member that waits for the others to join outlives its session', async () => {
  const { memberId } = await join({ sessionTimeoutMs: 20_000 })
  const second = join({ sessionTimeoutMs: 2_000 })
  await pass(5_000)
  await join({ memberId })
  expect(await second).toMatchObject({ generation: 2 })
})

test('and so does one that waits for its part, from which on it has to heartbeat again', async () => {
  const { leader, follower, generation } = await twoJoined({}, { sessionTimeoutMs: 2_000 })
  const synced = group.sync(generation, follower, nobody)
  await pass(5_000)
  await group.sync(generation, leader, new Map([[follower, Buffer.from('part')]]))
  expect((await synced).assignment.toString()).toBe('part')
  await pass(1_999)
  expect(group.describe().state).toBe('Stable')
  await pass(1)
  expect(group.describe()).toMatchObject({ state: 'PreparingRebalance', members: [{ memberId: leader }] })
})

test('a member that heartbeats stays beyond its session, one that does not is left out', async () => {
  const { leader, follower, generation } = await twoMembers()
  await pass(9_000)
  group.heartbeat(generation, leader)
  await pass(1_000)
  expect(group.describe()).toMatchObject({ state: 'PreparingRebalance', members: [{ memberId: leader }] })
  expect(attempt(() => group.heartbeat(generation, follower))).toEqual(refused('UNKNOWN_MEMBER_ID'))
})

test('a member that repeats a join that still waits has both answered', async () => {
  const { leader, follower, generation } = await twoMembers()
  const changed = {
    memberId: follower,
    protocols: [{ name: 'range', metadata: Buffer.from('another topic') }],
  }
  const both = [join(changed), join(changed)]
  await join({ memberId: leader })
  const next = { memberId: follower, generation: generation + 1, members: [] }
  expect(await Promise.all(both)).toMatchObject([next, next])
})

test('one that leaves while it waits is not let in', async () => {
  const { memberId } = await join()
  const second = join()
  const [, waits] = group.describe().members
  group.leave(waits?.memberId ?? '')
  expect(await join({ memberId })).toMatchObject({ members: [{ memberId }] })
  expect(await failure(second)).toEqual(refused('UNKNOWN_MEMBER_ID'))
})

test('a new member that goes away before it was told its id is none', async () => {
  const { memberId } = await join()
  let leave = () => {}
  const second = failure(
    group.join(request(), (goes) => {
      leave = goes
    }),
  )
  leave()
  expect(await join({ memberId })).toMatchObject({ members: [{ memberId }] })
  expect(await second).toEqual(refused('UNKNOWN_MEMBER_ID'))
})

test('a member that does not join again in time is left out', async () => {
  const { memberId } = await join({ rebalanceTimeoutMs: 2_000 })
  const second = join({ rebalanceTimeoutMs: 3_000 })
  await pass(2_999)
  expect(attempt(() => group.heartbeat(1, memberId))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  await pass(1)
  expect(attempt(() => group.heartbeat(1, memberId))).toEqual(refused('UNKNOWN_MEMBER_ID'))
  const joined = await second
  const { memberId: follower } = joined
  expect(joined).toMatchObject({ leader: follower, generation: 2, members: [{ memberId: follower }] })
})

test('nor does anybody wait for it once its session is over', async () => {
  await join({ sessionTimeoutMs: 2_000 })
  const second = join()
  await pass(2_000)
  expect(await second).toMatchObject({ generation: 2, members: [{}] })
})

test('when the leader leaves, the oldest of the others leads', async () => {
  const { leader, follower, generation } = await twoMembers()
  group.leave(leader)
  expect(attempt(() => group.heartbeat(generation, follower))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  const joined = await join({ memberId: follower })
  expect(joined).toMatchObject({
    generation: generation + 1,
    leader: follower,
    members: [{ memberId: follower }],
  })
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

test('a leader that repeats its join before it has assigned gets the same answer', async () => {
  const { leader, follower, generation } = await twoJoined()
  const again = await join({ memberId: leader })
  expect(again).toMatchObject({ generation, leader, members: [{ memberId: leader }, { memberId: follower }] })
})

test('a member that comes with other subscriptions starts a new round', async () => {
  const { leader, follower, generation } = await twoMembers()
  const changed = join({
    memberId: follower,
    protocols: [{ name: 'range', metadata: Buffer.from('another topic') }],
  })
  expect(attempt(() => group.heartbeat(generation, leader))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  await join({ memberId: leader })
  expect((await changed).generation).toBe(generation + 1)
})

test('who asks for its part again gets it again', async () => {
  const { follower, generation } = await twoMembers()
  expect((await group.sync(generation, follower, nobody)).assignment.toString()).toBe('part')
})

test('while the parts are not assigned nobody may commit, while members join again they may', async () => {
  const { memberId, generation } = await join()
  expect(attempt(() => group.checkCommit(generation, memberId))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  await group.sync(generation, memberId, nobody)
  expect(attempt(() => group.checkCommit(generation, memberId))).toBeUndefined()
  void join()
  expect(group.describe().state).toBe('PreparingRebalance')
  expect(attempt(() => group.checkCommit(generation, memberId))).toBeUndefined()
})

test('commits of an older generation, of strangers, and from outside while there are members are refused', async () => {
  expect(attempt(() => group.checkCommit(-1, ''))).toBeUndefined()
  const { leader, generation } = await twoMembers()
  expect(attempt(() => group.checkCommit(generation - 1, leader))).toEqual(refused('ILLEGAL_GENERATION'))
  expect(attempt(() => group.checkCommit(generation, 'stranger'))).toEqual(refused('UNKNOWN_MEMBER_ID'))
  expect(attempt(() => group.checkCommit(-1, ''))).toEqual(refused('UNKNOWN_MEMBER_ID'))
})

test('a leader that never assigns is left out, and those who wait for it are told to join again', async () => {
  const { leader, follower, generation } = await twoJoined({ rebalanceTimeoutMs: 2_000 })
  const failed = failure(group.sync(generation, follower, nobody))
  await pass(2_000)
  expect(await failed).toEqual(refused('REBALANCE_IN_PROGRESS'))
  expect(attempt(() => group.heartbeat(generation, leader))).toEqual(refused('UNKNOWN_MEMBER_ID'))
  expect(await join({ memberId: follower })).toMatchObject({
    leader: follower,
    members: [{ memberId: follower }],
  })
})

test('a follower that heartbeats but never asks for its part is left out', async () => {
  const { leader, follower, generation } = await twoJoined({ rebalanceTimeoutMs: 2_000 })
  await group.sync(generation, leader, nobody)
  group.heartbeat(generation, follower)
  await pass(2_000)
  expect(group.describe()).toMatchObject({ state: 'PreparingRebalance', members: [{ memberId: leader }] })
})

test('when nobody asks for a part the group is empty', async () => {
  await twoJoined({ rebalanceTimeoutMs: 2_000 })
  await pass(2_000)
  expect(group.describe()).toMatchObject({ state: 'Empty', members: [] })
})

test('the protocol is the one most members prefer among those all of them know', async () => {
  const { memberId } = await join({ protocols: protocols('own', 'sticky', 'range') })
  const second = join({ protocols: protocols('range', 'sticky') })
  const third = join({ protocols: protocols('other', 'range', 'sticky') })
  await join({ memberId, protocols: protocols('own', 'sticky', 'range') })
  expect([(await second).protocol, (await third).protocol]).toEqual(['range', 'range'])
})

test('who is alone may come with another protocol', async () => {
  const { memberId } = await join({ protocols: protocols('range') })
  expect(await join({ memberId, protocols: protocols('sticky') })).toMatchObject({
    generation: 2,
    protocol: 'sticky',
  })
})

const refusals: [string, Partial<JoinRequest>, ErrorName][] = [
  ['a session without length', { sessionTimeoutMs: 0 }, 'INVALID_SESSION_TIMEOUT'],
  ['a session without end', { sessionTimeoutMs: 30 * 60_000 + 1 }, 'INVALID_SESSION_TIMEOUT'],
  ['an id that was never given', { memberId: 'stranger' }, 'UNKNOWN_MEMBER_ID'],
  ['no protocol at all', { protocols: [] }, 'INCONSISTENT_GROUP_PROTOCOL'],
  ['a protocol nobody else knows', { protocols: protocols('own') }, 'INCONSISTENT_GROUP_PROTOCOL'],
  ['another kind of group', { protocolType: 'connect' }, 'INCONSISTENT_GROUP_PROTOCOL'],
]

test.each(refusals)('refuses %s', async (_, changes, code) => {
  await twoMembers()
  expect(await failure(join(changes))).toEqual(refused(code))
  expect(group.describe().state).toBe('Stable')
})

test('refuses a group without a name, and a first member without a kind or a protocol', async () => {
  expect(attempt(() => new Groups(() => {}).open(''))).toEqual(refused('INVALID_GROUP_ID'))
  expect(await failure(join({ protocolType: '' }))).toEqual(refused('INCONSISTENT_GROUP_PROTOCOL'))
  expect(await failure(join({ protocols: [] }))).toEqual(refused('INCONSISTENT_GROUP_PROTOCOL'))
})

test('a group is forgotten once nobody is in it', async () => {
  const groups = new Groups(() => {})
  const others = groups.open('others')
  await others.join(request())
  const opened = groups.open('readers')
  const { memberId } = await opened.join(request())
  groups.forgetIdle()
  expect(groups.open('readers')).toBe(opened)
  expect(groups.occupied()).toEqual([others, opened])
  opened.leave(memberId)
  groups.forgetIdle()
  expect(groups.open('readers')).not.toBe(opened)
  expect(groups.occupied()).toEqual([others])
  groups.close()
})
