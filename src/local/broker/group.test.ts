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
const noParts = new Map<string, Buffer>()
const refused = (code: ErrorName) => expect.objectContaining({ name: 'Refusal', code })
/** The error that is thrown synchronously, if any. */
const attempt = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    return error
  }
}

// Not `rejects`, which blocks even the test timeout when the promise never settles.
const failure = (answer: Promise<unknown>) => answer.catch((error) => error)

/** Advances the clock and delivers the responses due by then. */
async function pass(ms: number) {
  jest.advanceTimersByTime(ms)
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

/** Two members that have joined and not yet synced. */
async function twoJoined(leads: Partial<JoinRequest> = {}, follows = leads) {
  const { memberId: leader } = await join(leads)
  const second = join(follows)
  await join({ ...leads, memberId: leader })
  const { memberId: follower, generation } = await second
  return { leader, follower, generation }
}

/** Two members with assignments, of which the first leads. */
async function twoMembers(leads: Partial<JoinRequest> = {}, follows = leads) {
  const { leader, follower, generation } = await twoJoined(leads, follows)
  const synced = group.sync(generation, follower, noParts)
  await group.sync(generation, leader, new Map([[follower, Buffer.from('part')]]))
  expect((await synced).assignment.toString()).toBe('part')
  return { leader, follower, generation }
}

test('a member without an id gets one and joins at once, which starts a rebalance', async () => {
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

test('a session does not expire while a member waits for others to join', async () => {
  const { memberId } = await join({ sessionTimeoutMs: 20_000 })
  const second = join({ sessionTimeoutMs: 2_000 })
  await pass(5_000)
  await join({ memberId })
  expect(await second).toMatchObject({ generation: 2 })
})

test('a session does not expire while a member waits for its assignment, and runs again after', async () => {
  const { leader, follower, generation } = await twoJoined({}, { sessionTimeoutMs: 2_000 })
  const synced = group.sync(generation, follower, noParts)
  await pass(5_000)
  await group.sync(generation, leader, new Map([[follower, Buffer.from('part')]]))
  expect((await synced).assignment.toString()).toBe('part')
  await pass(1_999)
  expect(group.describe().state).toBe('Stable')
  await pass(1)
  expect(group.describe()).toMatchObject({ state: 'PreparingRebalance', members: [{ memberId: leader }] })
})

test('a member that heartbeats stays, one that does not is removed', async () => {
  const { leader, follower, generation } = await twoMembers()
  await pass(9_000)
  group.heartbeat(generation, leader)
  await pass(1_000)
  expect(group.describe()).toMatchObject({ state: 'PreparingRebalance', members: [{ memberId: leader }] })
  expect(attempt(() => group.heartbeat(generation, follower))).toEqual(refused('UNKNOWN_MEMBER_ID'))
})

test('a repeated join is answered together with the pending one', async () => {
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

test('a member that leaves while joining does not get in', async () => {
  const { memberId } = await join()
  const second = join()
  const [, waits] = group.describe().members
  group.leave(waits?.memberId ?? '')
  expect(await join({ memberId })).toMatchObject({ members: [{ memberId }] })
  expect(await failure(second)).toEqual(refused('UNKNOWN_MEMBER_ID'))
})

test('a new member that disconnects before it receives its id is not added', async () => {
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

test('a member that does not rejoin in time is removed', async () => {
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

test('a rebalance does not wait for a member whose session has expired', async () => {
  await join({ sessionTimeoutMs: 2_000 })
  const second = join()
  await pass(2_000)
  expect(await second).toMatchObject({ generation: 2, members: [{}] })
})

test('when the leader leaves, the oldest remaining member leads', async () => {
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

test('a repeated join returns the same answer to a follower and rebalances for a leader', async () => {
  const { leader, follower, generation } = await twoMembers()
  expect(await join({ memberId: follower })).toMatchObject({ generation, members: [] })
  expect(group.describe().state).toBe('Stable')
  const leads = join({ memberId: leader })
  expect(attempt(() => group.heartbeat(generation, follower))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  await join({ memberId: follower })
  expect(await leads).toMatchObject({ generation: generation + 1, leader })
})

test('a leader that repeats its join before syncing gets the same answer', async () => {
  const { leader, follower, generation } = await twoJoined()
  const again = await join({ memberId: leader })
  expect(again).toMatchObject({ generation, leader, members: [{ memberId: leader }, { memberId: follower }] })
})

test('a member with changed subscriptions starts a rebalance', async () => {
  const { leader, follower, generation } = await twoMembers()
  const changed = join({
    memberId: follower,
    protocols: [{ name: 'range', metadata: Buffer.from('another topic') }],
  })
  expect(attempt(() => group.heartbeat(generation, leader))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  await join({ memberId: leader })
  expect((await changed).generation).toBe(generation + 1)
})

test('a repeated sync returns the same assignment', async () => {
  const { follower, generation } = await twoMembers()
  expect((await group.sync(generation, follower, noParts)).assignment.toString()).toBe('part')
})

test('commits are refused before the assignment and accepted during a rejoin', async () => {
  const { memberId, generation } = await join()
  expect(attempt(() => group.checkCommit(generation, memberId))).toEqual(refused('REBALANCE_IN_PROGRESS'))
  await group.sync(generation, memberId, noParts)
  expect(attempt(() => group.checkCommit(generation, memberId))).toBeUndefined()
  void join()
  expect(group.describe().state).toBe('PreparingRebalance')
  expect(attempt(() => group.checkCommit(generation, memberId))).toBeUndefined()
})

test('refuses commits of old generations, unknown members, and outsiders of an active group', async () => {
  expect(attempt(() => group.checkCommit(-1, ''))).toBeUndefined()
  const { leader, generation } = await twoMembers()
  expect(attempt(() => group.checkCommit(generation - 1, leader))).toEqual(refused('ILLEGAL_GENERATION'))
  expect(attempt(() => group.checkCommit(generation, 'stranger'))).toEqual(refused('UNKNOWN_MEMBER_ID'))
  expect(attempt(() => group.checkCommit(-1, ''))).toEqual(refused('UNKNOWN_MEMBER_ID'))
})

test('a leader that never syncs is removed, and its followers have to rejoin', async () => {
  const { leader, follower, generation } = await twoJoined({ rebalanceTimeoutMs: 2_000 })
  const failed = failure(group.sync(generation, follower, noParts))
  await pass(2_000)
  expect(await failed).toEqual(refused('REBALANCE_IN_PROGRESS'))
  expect(attempt(() => group.heartbeat(generation, leader))).toEqual(refused('UNKNOWN_MEMBER_ID'))
  expect(await join({ memberId: follower })).toMatchObject({
    leader: follower,
    members: [{ memberId: follower }],
  })
})

test('a follower that heartbeats but never syncs is removed', async () => {
  const { leader, follower, generation } = await twoJoined({ rebalanceTimeoutMs: 2_000 })
  await group.sync(generation, leader, noParts)
  group.heartbeat(generation, follower)
  await pass(2_000)
  expect(group.describe()).toMatchObject({ state: 'PreparingRebalance', members: [{ memberId: leader }] })
})

test('a group whose members never sync becomes empty', async () => {
  await twoJoined({ rebalanceTimeoutMs: 2_000 })
  await pass(2_000)
  expect(group.describe()).toMatchObject({ state: 'Empty', members: [] })
})

test('the protocol is the most preferred of those that all members support', async () => {
  const { memberId } = await join({ protocols: protocols('own', 'sticky', 'range') })
  const second = join({ protocols: protocols('range', 'sticky') })
  const third = join({ protocols: protocols('other', 'range', 'sticky') })
  await join({ memberId, protocols: protocols('own', 'sticky', 'range') })
  expect([(await second).protocol, (await third).protocol]).toEqual(['range', 'range'])
})

test('a sole member may change the protocol', async () => {
  const { memberId } = await join({ protocols: protocols('range') })
  expect(await join({ memberId, protocols: protocols('sticky') })).toMatchObject({
    generation: 2,
    protocol: 'sticky',
  })
})

const refusals: [string, Partial<JoinRequest>, ErrorName][] = [
  ['a session timeout of zero', { sessionTimeoutMs: 0 }, 'INVALID_SESSION_TIMEOUT'],
  ['a session timeout above the limit', { sessionTimeoutMs: 30 * 60_000 + 1 }, 'INVALID_SESSION_TIMEOUT'],
  ['an unknown member id', { memberId: 'stranger' }, 'UNKNOWN_MEMBER_ID'],
  ['an empty list of protocols', { protocols: [] }, 'INCONSISTENT_GROUP_PROTOCOL'],
  [
    'a protocol that no other member supports',
    { protocols: protocols('own') },
    'INCONSISTENT_GROUP_PROTOCOL',
  ],
  ['another protocol type', { protocolType: 'connect' }, 'INCONSISTENT_GROUP_PROTOCOL'],
]

test.each(refusals)('refuses %s', async (_, changes, code) => {
  await twoMembers()
  expect(await failure(join(changes))).toEqual(refused(code))
  expect(group.describe().state).toBe('Stable')
})

test('refuses a group without a name, and a first member without a protocol type or protocol', async () => {
  expect(attempt(() => new Groups(() => {}).open(''))).toEqual(refused('INVALID_GROUP_ID'))
  expect(await failure(join({ protocolType: '' }))).toEqual(refused('INCONSISTENT_GROUP_PROTOCOL'))
  expect(await failure(join({ protocols: [] }))).toEqual(refused('INCONSISTENT_GROUP_PROTOCOL'))
})

test('an empty group is forgotten', async () => {
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
