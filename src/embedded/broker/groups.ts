import { Group } from './group.ts'

/** All consumer groups that have members, or had some since the start. */
export class Groups {
  readonly #groups = new Map<string, Group>()

  constructor(readonly log: (message: string, fields: object) => void) {}

  find(groupId: string): Group | undefined {
    return this.#groups.get(groupId)
  }

  open(groupId: string): Group {
    let group = this.#groups.get(groupId)
    if (!group) {
      group = new Group(groupId, this.log)
      this.#groups.set(groupId, group)
    }
    return group
  }

  all(): Group[] {
    return [...this.#groups.values()]
  }

  delete(groupId: string): void {
    this.#groups.get(groupId)?.close()
    this.#groups.delete(groupId)
  }

  /** Forgets groups nobody is in; whoever comes back finds what was committed, which is kept elsewhere. */
  forgetIdle(): void {
    for (const [groupId, group] of this.#groups) if (group.isIdle) this.#groups.delete(groupId)
  }

  close(): void {
    for (const group of this.#groups.values()) group.close()
  }
}
