import { Refusal } from './errors.ts'

export type JoinRequest = {
  memberId: string
  /** It came without an id: it is told this one, and to join again with it. */
  isNew: boolean
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocolType: string
  protocols: { name: string; metadata: Buffer }[]
  clientId: string
  clientHost: string
}

export type Joined = {
  generation: number
  protocol: string
  leader: string
  /** For the leader alone. */
  members: { memberId: string; metadata: Buffer }[]
}

type Member = JoinRequest & {
  assignment: Buffer
  session: Timer
  /** It waits for the others to join, or for the leader to assign. */
  joining?: PromiseWithResolvers<Joined>
  syncing?: PromiseWithResolvers<Buffer>
  synced: boolean
}

type State = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'
type Log = (message: string, fields: object) => void

const nothing: Buffer = Buffer.alloc(0)
const sessionTimeoutMaxMs = 30 * 60_000

/** All consumer groups that have members, or had some lately. */
export class Groups {
  readonly #groups = new Map<string, Group>()

  constructor(readonly log: Log) {}

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
  readonly #members = new Map<string, Member>()
  /** Ids given out by MEMBER_ID_REQUIRED whose owners have not come back yet; a rebalance waits for them. */
  readonly #announced = new Map<string, Timer>()
  #rebalance: Timer | undefined

  constructor(
    readonly id: string,
    readonly log: Log,
  ) {}

  get isEmpty(): boolean {
    return this.#members.size === 0
  }

  /** Nobody is in it or on the way in. */
  get isIdle(): boolean {
    return this.isEmpty && this.#announced.size === 0
  }

  /** Answers when the rebalance this causes is complete: all have joined, or the slow ones ran out of their time. */
  async join(request: JoinRequest): Promise<Joined> {
    this.#checkJoin(request)
    const { memberId, isNew, sessionTimeoutMs, protocolType } = request
    if (isNew) {
      const forget = setTimeout(() => this.#forgetAnnounced(memberId), sessionTimeoutMs)
      this.#announced.set(memberId, forget)
      throw new Refusal('MEMBER_ID_REQUIRED')
    }
    const known = this.#members.get(memberId)
    if (known && !this.#mustRebalance(known, request)) {
      known.session.refresh()
      return this.#joined(known)
    }
    clearTimeout(this.#announced.get(memberId))
    this.#announced.delete(memberId)
    known?.joining?.reject(new Refusal('UNKNOWN_MEMBER_ID'))
    clearTimeout(known?.session)
    const session = setTimeout(() => this.#expire(memberId), sessionTimeoutMs)
    const joining = Promise.withResolvers<Joined>()
    const assignment = known?.assignment ?? nothing
    this.#members.set(memberId, { ...request, assignment, session, joining, synced: false })
    this.#protocolType = protocolType
    this.#prepareRebalance(known ? 'a member joined again' : 'a member joined')
    return joining.promise
  }

  /** Answers with the member's part once the leader has handed in all of them. */
  async sync(generation: number, memberId: string, assignments: Map<string, Buffer>): Promise<Buffer> {
    const member = this.heartbeat(generation, memberId)
    member.synced = true
    if (this.#state === 'Stable') return member.assignment
    member.syncing = Promise.withResolvers<Buffer>()
    const { promise } = member.syncing
    if (memberId === this.#leader) {
      this.#state = 'Stable'
      for (const each of this.#members.values()) {
        each.assignment = assignments.get(each.memberId) ?? nothing
        each.syncing?.resolve(each.assignment)
        each.syncing = undefined
      }
    }
    return promise
  }

  /** Refused while the group rebalances, which is how a member learns that it has to join again. */
  heartbeat(generation: number, memberId: string): Member {
    const member = this.#alive(generation, memberId)
    if (this.#state === 'PreparingRebalance') throw new Refusal('REBALANCE_IN_PROGRESS')
    return member
  }

  leave(memberId: string): void {
    if (this.#forgetAnnounced(memberId)) return
    const member = this.#members.get(memberId)
    if (!member) throw new Refusal('UNKNOWN_MEMBER_ID')
    this.#remove(member, 'left')
  }

  /** Refuses commits of an older generation; without members anyone may commit. */
  checkCommit(generation: number, memberId: string): void {
    if (generation < 0 && this.isEmpty) return
    this.#alive(generation, memberId)
    // While members join again they may still commit what they have read. Once the group agreed on new members but not yet on who
    // reads what, nobody may speak for a partition.
    if (this.#state === 'CompletingRebalance') throw new Refusal('REBALANCE_IN_PROGRESS')
  }

  describe() {
    const members = [...this.#members.values()].map((each) => ({ ...each, metadata: this.#metadataOf(each) }))
    return { state: this.#state, protocolType: this.#protocolType, protocol: this.#protocol, members }
  }

  /** Stops every timer. Answers that wait are given up with their connections. */
  close(): void {
    clearTimeout(this.#rebalance)
    for (const timer of this.#announced.values()) clearTimeout(timer)
    for (const member of this.#members.values()) clearTimeout(member.session)
  }

  #checkJoin({ memberId, isNew, sessionTimeoutMs, protocolType, protocols }: JoinRequest): void {
    if (sessionTimeoutMs < 1 || sessionTimeoutMs > sessionTimeoutMaxMs) throw new Refusal('INVALID_SESSION_TIMEOUT')
    if (!isNew && !this.#members.has(memberId) && !this.#announced.has(memberId)) throw new Refusal('UNKNOWN_MEMBER_ID')
    const others = [...this.#members.values()].filter((member) => member.memberId !== memberId)
    const shared = protocols.some(({ name }) => others.every((member) => supports(member, name)))
    if (protocolType === '' || !shared || (others.length > 0 && protocolType !== this.#protocolType))
      throw new Refusal('INCONSISTENT_GROUP_PROTOCOL')
  }

  /** A member that repeats its join (it may have missed the answer) gets that answer again; the leader may ask for a new round. */
  #mustRebalance(member: Member, request: JoinRequest): boolean {
    if (this.#state === 'PreparingRebalance' || !Bun.deepEquals(member.protocols, request.protocols)) return true
    return this.#state === 'Stable' && member.memberId === this.#leader
  }

  #prepareRebalance(reason: string): void {
    if (this.#state !== 'PreparingRebalance') {
      this.log('group rebalances', { group: this.id, generation: this.#generation, reason })
      this.#state = 'PreparingRebalance'
      for (const member of this.#members.values()) this.#refuseSync(member, 'REBALANCE_IN_PROGRESS')
      clearTimeout(this.#rebalance)
      this.#rebalance = setTimeout(() => this.#completeJoin(), this.#rebalanceTimeoutMs())
    }
    this.#completeJoinIfAllHere()
  }

  #completeJoinIfAllHere(): void {
    if (this.#state !== 'PreparingRebalance' || this.#announced.size > 0) return
    if ([...this.#members.values()].every(({ joining }) => joining)) this.#completeJoin()
  }

  #completeJoin(): void {
    clearTimeout(this.#rebalance)
    for (const { memberId, joining, session } of this.#members.values()) {
      if (joining) continue
      clearTimeout(session)
      this.#members.delete(memberId)
    }
    this.#generation++
    this.#state = this.isEmpty ? 'Empty' : 'CompletingRebalance'
    this.#protocol = this.#electProtocol()
    // The oldest member leads: the leader stays the same as long as it is there.
    this.#leader = this.#members.keys().next().value ?? ''
    if (this.isEmpty) return
    for (const member of this.#members.values()) {
      member.synced = false
      member.session.refresh()
      member.joining?.resolve(this.#joined(member))
      member.joining = undefined
    }
    // Who heartbeats but never syncs would hold up the group for ever, the leader first of all.
    this.#rebalance = setTimeout(() => {
      for (const member of this.#members.values()) if (!member.synced) this.#remove(member, 'did not sync in time')
    }, this.#rebalanceTimeoutMs())
  }

  /** The one most members prefer among those all of them know. */
  #electProtocol(): string {
    const members = [...this.#members.values()]
    const votes = members.map(({ protocols }) => {
      return protocols.find(({ name }) => members.every((member) => supports(member, name)))?.name ?? ''
    })
    const counted = [...Map.groupBy(votes, (name) => name)]
    return counted.sort(([, left], [, right]) => right.length - left.length)[0]?.[0] ?? ''
  }

  #expire(memberId: string): void {
    const member = this.#members.get(memberId)
    // Who waits for the others to join or for the leader to assign cannot heartbeat meanwhile, and is not dead for it.
    if (!member || member.joining || member.syncing) return
    this.#remove(member, 'did not heartbeat in time')
  }

  #remove(member: Member, reason: string): void {
    clearTimeout(member.session)
    this.#members.delete(member.memberId)
    this.log('group member removed', { group: this.id, member: member.memberId, reason })
    member.joining?.reject(new Refusal('UNKNOWN_MEMBER_ID'))
    this.#refuseSync(member, 'UNKNOWN_MEMBER_ID')
    this.#prepareRebalance(reason)
  }

  /** False when no such id was given out. A rebalance that waited for it may now be complete. */
  #forgetAnnounced(memberId: string): boolean {
    clearTimeout(this.#announced.get(memberId))
    const known = this.#announced.delete(memberId)
    if (known) this.#completeJoinIfAllHere()
    return known
  }

  #refuseSync(member: Member, error: 'REBALANCE_IN_PROGRESS' | 'UNKNOWN_MEMBER_ID'): void {
    member.syncing?.reject(new Refusal(error))
    member.syncing = undefined
  }

  /** The member, which stays alive by whatever it asks for, even when that is refused. */
  #alive(generation: number, memberId: string): Member {
    const member = this.#members.get(memberId)
    if (!member) throw new Refusal('UNKNOWN_MEMBER_ID')
    if (generation !== this.#generation) throw new Refusal('ILLEGAL_GENERATION')
    member.session.refresh()
    return member
  }

  #rebalanceTimeoutMs(): number {
    return Math.max(1, ...[...this.#members.values()].map((member) => member.rebalanceTimeoutMs))
  }

  #joined({ memberId }: Member): Joined {
    const members = memberId === this.#leader ? this.describe().members : []
    return { generation: this.#generation, protocol: this.#protocol, leader: this.#leader, members }
  }

  #metadataOf({ protocols }: Member): Buffer {
    return protocols.find(({ name }) => name === this.#protocol)?.metadata ?? nothing
  }
}

function supports(member: { protocols: { name: string }[] }, name: string): boolean {
  return member.protocols.some((protocol) => protocol.name === name)
}
