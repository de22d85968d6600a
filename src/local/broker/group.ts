import { randomUUID } from 'node:crypto'
import { Refusal } from './errors.ts'

export type JoinRequest = {
  /** Empty at first: the answer has the id it was given. */
  memberId: string
  /** Said by the client. A member that joins under it takes the place of the one that has it. */
  instanceId?: string | null
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocolType: string
  protocols: { name: string; metadata: Buffer }[]
  clientId: string
  clientHost: string
}

type Member = JoinRequest & { assignment: Buffer; session?: Timer }
type State = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'
type Log = (message: string, fields: object) => void

const nothing: Buffer = Buffer.alloc(0)
const sessionTimeoutMaxMs = 30 * 60_000

/** All consumer groups that have members, or had some lately. */
export class Groups {
  readonly #groups = new Map<string, Group>()

  constructor(readonly log: Log) {}

  open(groupId: string): Group {
    if (groupId === '') throw new Refusal('INVALID_GROUP_ID')
    const group = this.#groups.get(groupId) ?? new Group(groupId, this.log)
    this.#groups.set(groupId, group)
    return group
  }

  occupied(): Group[] {
    return [...this.#groups.values()].filter((group) => !group.isEmpty)
  }

  /** Drops groups without members. Their committed offsets are stored elsewhere and stay. */
  forgetIdle(): void {
    for (const [groupId, group] of this.#groups) if (group.isEmpty) this.#groups.delete(groupId)
  }

  close(): void {
    for (const group of this.#groups.values()) group.close()
  }
}

/**
 * One consumer group and its rebalances, as the Kafka group protocol has them: all members join,
 * the leader assigns, all sync to get their part, and heartbeat from then on. Lives in memory:
 * after a restart members get UNKNOWN_MEMBER_ID and join again.
 */
export class Group {
  #state: State = 'Empty'
  #generation = 0
  #protocol = ''
  #leader = ''
  readonly #members = new Map<string, Member>()
  /**
   * Who has yet to join, or to sync, in the step the rebalance is at; the others wait for the step
   * to be over.
   */
  #due = new Set<string>()
  #step = Promise.withResolvers<void>()
  #deadline: Timer | undefined

  constructor(
    readonly id: string,
    readonly log: Log,
  ) {}

  get isEmpty(): boolean {
    return this.#members.size === 0
  }

  /**
   * Answers when the rebalance this causes is complete: all have joined, or the slow ones ran out
   * of their time. A new member that is `gone` before is dropped: its id was never sent.
   */
  async join(request: JoinRequest, gone?: (leave: () => void) => void) {
    this.#checkJoin(request)
    const memberId = request.memberId || `${request.clientId}-${randomUUID()}`
    const before = this.#instance(request.instanceId)
    if (before && before.memberId !== memberId) this.#drop(before)
    if (!request.memberId) gone?.(() => this.leave(memberId, 'went away as it joined'))
    const known = this.#members.get(memberId)
    // Who repeats its join (it may have missed the answer) gets that answer again; the leader may
    // ask for a new round.
    const mayRepeat =
      this.#state === 'CompletingRebalance' || (this.#state === 'Stable' && memberId !== this.#leader)
    if (!known || !mayRepeat || !Bun.deepEquals(known.protocols, request.protocols)) {
      this.#members.set(memberId, { assignment: nothing, ...known, ...request, memberId })
      await this.#rebalance(memberId, known ? 'joined again' : 'joined')
    }
    this.#alive(this.#generation, memberId)
    const members = memberId === this.#leader ? this.describe().members : []
    return { generation: this.#generation, protocol: this.#protocol, leader: this.#leader, memberId, members }
  }

  /** Answers when the leader has handed in the parts of all members. */
  async sync(generation: number, memberId: string, assignments: Map<string, Buffer>): Promise<Member> {
    this.heartbeat(generation, memberId)
    this.#due.delete(memberId)
    if (this.#state === 'CompletingRebalance' && memberId === this.#leader) {
      for (const member of this.#members.values())
        member.assignment = assignments.get(member.memberId) ?? nothing
      this.#state = 'Stable'
      this.#step.resolve()
    }
    await this.#step.promise
    // The step is over as well when the next rebalance begins, or without this member.
    return this.heartbeat(generation, memberId)
  }

  /** Refused while the group rebalances, which is how a member learns that it has to join again. */
  heartbeat(generation: number, memberId: string): Member {
    const member = this.#alive(generation, memberId)
    if (this.#state === 'PreparingRebalance') throw new Refusal('REBALANCE_IN_PROGRESS')
    return member
  }

  leave(memberId: string, reason = 'left'): void {
    const member = this.#members.get(memberId)
    if (!member) throw new Refusal('UNKNOWN_MEMBER_ID')
    this.#drop(member)
    void this.#rebalance(memberId, reason)
  }

  /** An administrator may know of a member only what its client calls itself. */
  leaveAs({ memberId, instanceId }: { memberId: string; instanceId: string | null }): void {
    this.leave(memberId || (this.#instance(instanceId)?.memberId ?? ''))
  }

  /** Refuses commits of an older generation; without members anyone may commit. */
  checkCommit(generation: number, memberId: string): void {
    if (generation < 0 && this.isEmpty) return
    this.#alive(generation, memberId)
    // While members join again they may still commit what they have read. Once the group agreed on
    // new members but not yet on the assignment, no member owns a partition.
    if (this.#state === 'CompletingRebalance') throw new Refusal('REBALANCE_IN_PROGRESS')
  }

  describe() {
    const metadataOf = ({ protocols }: Member) =>
      protocols.find(({ name }) => name === this.#protocol)?.metadata
    const members = [...this.#members.values()].map((one) => ({
      ...one,
      metadata: metadataOf(one) ?? nothing,
    }))
    return {
      state: this.#state,
      protocolType: members[0]?.protocolType ?? '',
      protocol: this.#protocol,
      members,
    }
  }

  /** Stops every timer. Answers that wait are given up with their connections. */
  close(): void {
    clearTimeout(this.#deadline)
    for (const { session } of this.#members.values()) clearTimeout(session)
  }

  #instance(instanceId: string | null | undefined): Member | undefined {
    return instanceId
      ? [...this.#members.values()].find((member) => member.instanceId === instanceId)
      : undefined
  }

  #drop(member: Member): void {
    clearTimeout(member.session)
    this.#members.delete(member.memberId)
    this.#due.delete(member.memberId)
  }

  #checkJoin({ memberId, sessionTimeoutMs, protocolType, protocols }: JoinRequest): void {
    if (sessionTimeoutMs < 1 || sessionTimeoutMs > sessionTimeoutMaxMs)
      throw new Refusal('INVALID_SESSION_TIMEOUT')
    if (memberId !== '' && !this.#members.has(memberId)) throw new Refusal('UNKNOWN_MEMBER_ID')
    const others = [...this.#members.values()].filter((member) => member.memberId !== memberId)
    const isSameType = protocolType !== '' && others.every((member) => member.protocolType === protocolType)
    if (!isSameType || !protocols.some(sharedBy(others))) throw new Refusal('INCONSISTENT_GROUP_PROTOCOL')
  }

  /** Has all members join, but for the one that just did, or left. Answers when they have. */
  #rebalance(memberId: string, reason: string): Promise<void> {
    this.log('group rebalances', { group: this.id, generation: this.#generation, memberId, reason })
    if (this.#state !== 'PreparingRebalance') this.#begin('PreparingRebalance')
    this.#due.delete(memberId)
    const { promise } = this.#step
    if (this.#due.size === 0) {
      this.#generation++
      this.#protocol = electProtocol([...this.#members.values()])
      // The oldest member leads: the leader stays the same as long as it is there.
      this.#leader = this.#members.keys().next().value ?? ''
      this.#begin(this.isEmpty ? 'Empty' : 'CompletingRebalance')
    }
    return promise
  }

  #begin(state: State): void {
    this.#state = state
    this.#due = new Set(this.#members.keys())
    this.#step.resolve()
    this.#step = Promise.withResolvers()
    clearTimeout(this.#deadline)
    // Who heartbeats but never joins or syncs would hold up the group for ever, the leader first of all.
    const leaveOutTheLate = () => {
      for (const memberId of this.#due) this.leave(memberId, 'did not join or sync in time')
    }
    const timeoutsMs = [...this.#members.values()].map(({ rebalanceTimeoutMs }) => rebalanceTimeoutMs)
    if (!this.isEmpty) this.#deadline = setTimeout(leaveOutTheLate, Math.max(1, ...timeoutsMs))
  }

  /** The member. Any request keeps it alive, even a refused one. */
  #alive(generation: number, memberId: string): Member {
    const member = this.#members.get(memberId)
    if (!member) throw new Refusal('UNKNOWN_MEMBER_ID')
    if (generation !== this.#generation) throw new Refusal('ILLEGAL_GENERATION')
    clearTimeout(member.session)
    member.session = setTimeout(() => {
      // Who waits for the others cannot heartbeat meanwhile, and is not dead for it.
      if (this.#state === 'Stable' || this.#due.has(memberId))
        this.leave(memberId, 'did not heartbeat in time')
    }, member.sessionTimeoutMs)
    return member
  }
}

/** The one most members prefer among those all of them know. */
function electProtocol(members: Member[]): string {
  const votes = members.map(({ protocols }) => protocols.find(sharedBy(members))?.name ?? '')
  const count = (name: string) => votes.filter((vote) => vote === name).length
  return votes.toSorted((left, right) => count(right) - count(left))[0] ?? ''
}

function sharedBy(members: Member[]) {
  return ({ name }: { name: string }) =>
    members.every(({ protocols }) => protocols.some((one) => one.name === name))
}
