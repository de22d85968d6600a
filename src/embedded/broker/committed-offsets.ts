import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppendFile, type Disk } from './log/disk.ts'

export type Commit = { topic: string; partition: number; offset: number; metadata: string | null }

type Entry = { group: string; commits: Commit[] } | { groupDeleted: string } | { topicDeleted: string }

/** The file is rewritten with the newest commits alone once it is this large. */
const compactBytes = 4 << 20

/** How far each group has read. One JSON line per commit request, on disk before it is answered; the last line about a partition counts. */
export class CommittedOffsets {
  readonly #groups = new Map<string, Map<string, Commit>>()
  #file: AppendFile

  constructor(
    dataDir: string,
    readonly disk: Disk,
  ) {
    this.#file = new AppendFile(join(dataDir, 'offsets.jsonl'), disk)
    this.#file.truncate(this.#recover())
  }

  groups(): string[] {
    return [...this.#groups.keys()]
  }

  find(group: string, topic: string, partition: number): Commit | undefined {
    return this.#groups.get(group)?.get(`${topic}:${partition}`)
  }

  /** Where the group has committed at all. */
  committed(group: string): { name: string; partitions: number[] }[] {
    const byTopic = Map.groupBy(this.#groups.get(group)?.values() ?? [], ({ topic }) => topic)
    return [...byTopic].map(([name, commits]) => ({ name, partitions: commits.map(({ partition }) => partition) }))
  }

  /** Resolves once the commits are on disk. */
  async commit(group: string, commits: Commit[]): Promise<void> {
    if (commits.length > 0) await this.#append({ group, commits })
  }

  deleteGroup(group: string): Promise<void> {
    return this.#append({ groupDeleted: group })
  }

  deleteTopic(topic: string): Promise<void> {
    return this.#append({ topicDeleted: topic })
  }

  /** Drops what later commits have replaced. */
  compact(): void {
    if (this.#file.bytes < compactBytes) return
    const lines = [...this.#groups].map(([group, commits]) => lineOf({ group, commits: [...commits.values()] }))
    const replaced = this.#file
    this.disk.replace(replaced.path, lines.join(''))
    replaced.close()
    this.#file = new AppendFile(replaced.path, this.disk)
  }

  close(): void {
    this.#file.close()
  }

  async #append(entry: Entry): Promise<void> {
    this.#file.append(Buffer.from(lineOf(entry)))
    this.#apply(entry)
    await this.#file.sync()
  }

  #apply(entry: Entry): void {
    if ('groupDeleted' in entry) {
      this.#groups.delete(entry.groupDeleted)
    } else if ('topicDeleted' in entry) {
      for (const commits of this.#groups.values()) {
        for (const [key, { topic }] of commits) if (topic === entry.topicDeleted) commits.delete(key)
      }
    } else {
      const known = this.#groups.get(entry.group) ?? new Map<string, Commit>()
      this.#groups.set(entry.group, known)
      for (const commit of entry.commits) known.set(`${commit.topic}:${commit.partition}`, commit)
    }
  }

  /** Applies every whole line and answers with where they end: a line without its end was never answered. */
  #recover(): number {
    const text = readFileSync(this.#file.path)
    let start = 0
    for (let end = text.indexOf(10); end >= 0; end = text.indexOf(10, start)) {
      try {
        this.#apply(JSON.parse(text.toString('utf8', start, end)))
      } catch {
        return start
      }
      start = end + 1
    }
    return start
  }
}

function lineOf(entry: Entry): string {
  return `${JSON.stringify(entry)}\n`
}
