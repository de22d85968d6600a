import { randomUUID } from 'node:crypto'
import { errorCodes, Refusal } from './error-codes.ts'

export type Protocol = { name: string; metadata: Buffer }

export type JoinRequest = {
  memberId: string
  /** From version 4 on a nameless member is first told its id and joins with it. */
  memberIdRequired: boolean
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocolType: string
  protocols: Protocol[]
  clientId: string
  clientHost: string
}

export type JoinAnswer = ReturnType<typeof joinRefused>
export type SyncAnswer = ReturnType<typeof syncRefused>

type Member = Omit<JoinRequest, 'memberIdRequired'> & {
  assignment: Buffer
  session: Timer
  answerJoin?: (answer: JoinAnswer) => void
  answerSync?: (answer: SyncAnswer) => void
  synced: boolean
}

type State = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'

const nothing: Buffer = Buffer.alloc(0)
const sessionTimeoutMaxMs = 30 * 60_000

/** All consumer groups that have members, or had some lately. */
export class Groups {
  readonly #groups = new Map<string, Group>()

  constructor(readonly log: (message: string, fields: object) => void) {}

  /** The group, made when it is new. */
  open(groupId: string): Group {
    if (groupId === '') throw new Refusal('INVALID_GROUP_ID')
    const group = this.#groups.get(groupId) ?? new Group(groupId, this.log)
    this.#groups.set(groupId, group)
    return group
  }

  occupied(): Group[] {
    return [...this.#groups.values()].filter((group) => !group.isEmpty)
  }

  /** Forgets groups nobody is in; whoever comes back finds what was committed, which is kept elsewhere. */
  forgetIdle(): void {
    for (const [groupId, group] of this.#groups) if (group.isIdle) this.#groups.delete(groupId)
  }

  close(): void {
    for (const group of this.#groups.values()) group.close()
  }
}

/**
 * One consumer group and its rebalances, as the Kafka group protocol has them: members join, the leader assigns, all heartbeat.
 * Lives in memory: after a restart members are unknown, are told so, and join again; what they committed is on disk elsewhere.
 */
export class Group {
  #state: State = 'Empty'
  #generation = 0
  #protocolType = ''
  #protocol = ''
  #leader = ''
  #members = new Map<string, Member>()
  /** Ids given out by MEMBER_ID_REQUIRED whose owners have not come back yet; a rebalance waits for them. */
  #announced = new Map<string, Timer>()
  #rebalance: Timer | undefined

  constructor(
    readonly id: string,
    readonly log: (message: string, fields: object) => void,
  ) {}

  get isEmpty(): boolean {
    return this.#members.size === 0
  }

  /** Nobody is in it or on the way in. */
  get isIdle(): boolean {
    return this.isEmpty && this.#announced.size === 0
  }

  /** Answers when the rebalance this causes is complete: all have joined, or the slow ones ran out of their time. */
  join(request: JoinRequest): Promise<JoinAnswer> {
    const refusal = this.#refuseJoin(request)
    if (refusal !== errorCodes.NONE) return Promise.resolve(joinRefused(refusal, request.memberId))
    if (request.memberId !== '') return this.#enter(request)
    const memberId = `${request.clientId}-${randomUUID()}`
    if (!request.memberIdRequired) return this.#enter({ ...request, memberId })
    this.#announced.set(
      memberId,
      setTimeout(() => this.#forgetAnnounced(memberId), request.sessionTimeoutMs),
    )
    return Promise.resolve(joinRefused(errorCodes.MEMBER_ID_REQUIRED, memberId))
  }

  /** Answers with the member's part once the leader has handed in all of them. */
  sync(generation: number, memberId: string, assignments: Map<string, Buffer>): Promise<SyncAnswer> {
    const errorCode = this.heartbeat(generation, memberId)
    const member = this.#members.get(memberId)
    if (!member || errorCode !== errorCodes.NONE) return Promise.resolve(syncRefused(errorCode))
    member.synced = true
    if (this.#state === 'Stable') return Promise.resolve({ errorCode, assignment: member.assignment })

    const { promise, resolve } = Promise.withResolvers<SyncAnswer>()
    member.answerSync = resolve
    if (memberId === this.#leader) {
      this.#state = 'Stable'
      for (const each of this.#members.values()) {
        each.assignment = assignments.get(each.memberId) ?? nothing
        this.#answerSync(each, { errorCode, assignment: each.assignment })
      }
    }
    return promise
  }

  /** The error code a heartbeat is answered with. A known member stays alive by it, whatever the answer. */
  heartbeat(generation: number, memberId: string): number {
    const member = this.#members.get(memberId)
    if (!member) return errorCodes.UNKNOWN_MEMBER_ID
    if (generation !== this.#generation) return errorCodes.ILLEGAL_GENERATION
    this.#refreshSession(member)
    return this.#state === 'PreparingRebalance' ? errorCodes.REBALANCE_IN_PROGRESS : errorCodes.NONE
  }

  leave(memberId: string): number {
    if (this.#forgetAnnounced(memberId)) return errorCodes.NONE
    const member = this.#members.get(memberId)
    if (!member) return errorCodes.UNKNOWN_MEMBER_ID
    this.#remove(member, 'left')
    return errorCodes.NONE
  }

  /** The error code for a commit: members of an older generation are fenced; without members anyone may commit. */
  checkCommit(generation: number, memberId: string): number {
    if (generation < 0 && this.isEmpty) return errorCodes.NONE
    const errorCode = this.heartbeat(generation, memberId)
    // While members join again they may still commit what they have read. Once the group agreed on new members but not yet on who
    // reads what, nobody may speak for a partition.
    if (this.#state === 'CompletingRebalance' && errorCode === errorCodes.NONE) return errorCodes.REBALANCE_IN_PROGRESS
    return errorCode === errorCodes.REBALANCE_IN_PROGRESS ? errorCodes.NONE : errorCode
  }

  describe() {
    const members = [...this.#members.values()].map((member) => ({
      memberId: member.memberId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: this.#metadataOf(member),
      assignment: member.assignment,
    }))
    return { state: this.#state, protocolType: this.#protocolType, protocol: this.#protocol, members }
  }

  /** Stops every timer. Answers that wait are given up with their connections. */
  close(): void {
    clearTimeout(this.#rebalance)
    for (const timer of this.#announced.values()) clearTimeout(timer)
    for (const member of this.#members.values()) clearTimeout(member.session)
  }

  #refuseJoin({ memberId, sessionTimeoutMs, protocolType, protocols }: JoinRequest): number {
    if (sessionTimeoutMs < 1 || sessionTimeoutMs > sessionTimeoutMaxMs) return errorCodes.INVALID_SESSION_TIMEOUT
    if (memberId !== '' && !this.#members.has(memberId) && !this.#announced.has(memberId))
      return errorCodes.UNKNOWN_MEMBER_ID
    if (protocolType === '' || protocols.length === 0) return errorCodes.INCONSISTENT_GROUP_PROTOCOL
    const others = [...this.#members.values()].filter((member) => member.memberId !== memberId)
    if (others.length === 0) return errorCodes.NONE
    const shared = protocols.some(({ name }) => others.every((member) => supports(member, name)))
    return protocolType === this.#protocolType && shared ? errorCodes.NONE : errorCodes.INCONSISTENT_GROUP_PROTOCOL
  }

  #enter(request: JoinRequest): Promise<JoinAnswer> {
    const { memberId } = request
    const known = this.#members.get(memberId)
    if (known && !this.#mustRebalance(known, request)) {
      this.#refreshSession(known)
      return Promise.resolve(this.#joinAnswer(known))
    }
    clearTimeout(this.#announced.get(memberId))
    this.#announced.delete(memberId)
    known?.answerJoin?.(joinRefused(errorCodes.UNKNOWN_MEMBER_ID, memberId))
    clearTimeout(known?.session)
    const { promise, resolve } = Promise.withResolvers<JoinAnswer>()
    const { memberIdRequired: _, ...joined } = request
    // The bytes are views of a request; a member outlives it.
    const protocols = joined.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }))
    const member: Member = {
      ...joined,
      protocols,
      assignment: known?.assignment ?? nothing,
      session: setTimeout(() => this.#expire(memberId), request.sessionTimeoutMs),
      answerJoin: resolve,
      synced: false,
    }
    this.#members.set(memberId, member)
    this.#protocolType = request.protocolType
    this.#prepareRebalance(known ? 'a member joined again' : 'a member joined')
    return promise
  }

  /** A member that repeats its join (it may have missed the answer) gets that answer again; the leader may ask for a new round. */
  #mustRebalance(member: Member, request: JoinRequest): boolean {
    if (this.#state === 'PreparingRebalance') return true
    const same =
      member.protocols.length === request.protocols.length &&
      member.protocols.every(({ name, metadata }, index) => {
        const other = request.protocols[index]
        return other?.name === name && metadata.equals(other.metadata)
      })
    if (!same) return true
    return this.#state === 'Stable' && member.memberId === this.#leader
  }

  #prepareRebalance(reason: string): void {
    if (this.#state !== 'PreparingRebalance') {
      this.log('group rebalances', { group: this.id, generation: this.#generation, reason })
      this.#state = 'PreparingRebalance'
      for (const member of this.#members.values()) {
        this.#answerSync(member, syncRefused(errorCodes.REBALANCE_IN_PROGRESS))
      }
      clearTimeout(this.#rebalance)
      this.#rebalance = setTimeout(() => this.#completeJoin(), this.#rebalanceTimeoutMs())
    }
    this.#completeJoinIfAllHere()
  }

  #completeJoinIfAllHere(): void {
    if (this.#state !== 'PreparingRebalance' || this.#announced.size > 0) return
    for (const member of this.#members.values()) if (!member.answerJoin) return
    this.#completeJoin()
  }

  #completeJoin(): void {
    clearTimeout(this.#rebalance)
    for (const member of this.#members.values()) {
      if (member.answerJoin) continue
      clearTimeout(member.session)
      this.#members.delete(member.memberId)
    }
    this.#generation++
    if (this.isEmpty) {
      this.#state = 'Empty'
      this.#protocol = ''
      this.#leader = ''
      return
    }
    this.#state = 'CompletingRebalance'
    this.#protocol = this.#electProtocol()
    // The oldest member leads: the leader stays the same as long as it is there.
    this.#leader = this.#members.keys().next().value ?? ''
    for (const member of this.#members.values()) {
      member.synced = false
      const answer = member.answerJoin
      member.answerJoin = undefined
      this.#refreshSession(member)
      answer?.(this.#joinAnswer(member))
    }
    // Who heartbeats but never syncs would hold up the group for ever, the leader first of all.
    const generation = this.#generation
    this.#rebalance = setTimeout(() => {
      if (generation !== this.#generation) return
      for (const member of this.#members.values()) if (!member.synced) this.#remove(member, 'did not sync in time')
    }, this.#rebalanceTimeoutMs())
  }

  #electProtocol(): string {
    const members = [...this.#members.values()]
    const votes = new Map<string, number>()
    for (const member of members) {
      const choice = member.protocols.find(({ name }) => members.every((other) => supports(other, name)))
      if (choice) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1)
    }
    return [...votes].sort(([, left], [, right]) => right - left)[0]?.[0] ?? ''
  }

  #expire(memberId: string): void {
    const member = this.#members.get(memberId)
    // Who waits for the others to join or for the leader to assign cannot heartbeat meanwhile, and is not dead for it.
    if (!member || member.answerJoin || member.answerSync) return
    this.#remove(member, 'did not heartbeat in time')
  }

  #remove(member: Member, reason: string): void {
    clearTimeout(member.session)
    this.#members.delete(member.memberId)
    this.log('group member removed', { group: this.id, member: member.memberId, reason })
    member.answerJoin?.(joinRefused(errorCodes.UNKNOWN_MEMBER_ID, member.memberId))
    this.#answerSync(member, syncRefused(errorCodes.UNKNOWN_MEMBER_ID))
    this.#prepareRebalance(reason)
  }

  /** False when no such id was given out. A rebalance that waited for it may now be complete. */
  #forgetAnnounced(memberId: string): boolean {
    clearTimeout(this.#announced.get(memberId))
    const known = this.#announced.delete(memberId)
    if (known) this.#completeJoinIfAllHere()
    return known
  }

  #answerSync(member: Member, answer: SyncAnswer): void {
    member.answerSync?.(answer)
    member.answerSync = undefined
  }

  #refreshSession(member: Member): void {
    clearTimeout(member.session)
    member.session = setTimeout(() => this.#expire(member.memberId), member.sessionTimeoutMs)
  }

  #rebalanceTimeoutMs(): number {
    return Math.max(1, ...[...this.#members.values()].map((member) => member.rebalanceTimeoutMs))
  }

  #joinAnswer(member: Member): JoinAnswer {
    const isLeader = member.memberId === this.#leader
    return {
      errorCode: errorCodes.NONE,
      generation: this.#generation,
      protocol: this.#protocol,
      leader: this.#leader,
      memberId: member.memberId,
      members: isLeader
        ? [...this.#members.values()].map((each) => ({ memberId: each.memberId, metadata: this.#metadataOf(each) }))
        : [],
    }
  }

  #metadataOf(member: Member): Buffer {
    return member.protocols.find(({ name }) => name === this.#protocol)?.metadata ?? nothing
  }
}

function supports(member: { protocols: Protocol[] }, name: string): boolean {
  return member.protocols.some((protocol) => protocol.name === name)
}

export function joinRefused(errorCode: number, memberId: string) {
  const members: { memberId: string; metadata: Buffer }[] = []
  return { errorCode, generation: -1, protocol: '', leader: '', memberId, members }
}

export function syncRefused(errorCode: number) {
  return { errorCode, assignment: nothing }
}
