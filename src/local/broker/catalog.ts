import { Database } from 'bun:sqlite'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal } from './errors.ts'
import type { Entry, Journal, Owner } from './log/journal.ts'

export type TopicConfig = Record<string, string>
export type Topic = { id: number; name: string; partitions: number; config: TopicConfig }
export type Commit = { topic: string; partition: number; offset: number; metadata: string | null }

type Topics = Map<string, Topic>
/** Of each group, by topic and partition. */
type Commits = Map<string, Map<string, Commit>>

/** What changes often, as it is in the journal. */
type Change = { group: string; commits: Commit[] } | { producerId: number }

type Content = {
  clusterId: string
  /** The last one given, which is not given again. */
  topicId: number
  producerId: number
  topics: Topic[]
  commits: [group: string, commits: Commit[]][]
}

/** Of a format of its own: versions before refuse a directory with a file of this name. */
const fileName = 'catalog.json'
const format = 2

/**
 * What a broker knows beside records: topics, committed offsets and who it is. In memory, in a file that is
 * replaced as a whole, and what changed since then in the journal.
 */
export class Catalog implements Owner {
  readonly #path: string
  #topics: Topics = new Map()
  #commits: Commits = new Map()
  #topicId = 0
  #producerId = 0
  #waiting: Change[] = []
  /** Given once per data directory, and the same after every restart. */
  readonly clusterId: string

  constructor(
    dataDir: string,
    readonly journal: Journal,
  ) {
    this.#path = join(dataDir, fileName)
    const content = read(dataDir)
    this.clusterId = content?.clusterId ?? Bun.randomUUIDv7('base64url')
    this.#topicId = content?.topicId ?? 0
    this.#producerId = content?.producerId ?? 0
    for (const topic of content?.topics ?? []) this.#topics.set(topic.name, topic)
    for (const [group, commits] of content?.commits ?? []) this.#apply({ group, commits })
    if (!existsSync(this.#path)) this.persist()
    for (const name of sqliteNames) rmSync(join(dataDir, name), { force: true })
  }

  get topics(): ReadonlyMap<string, Topic> {
    return this.#topics
  }

  /** What clients know a topic by. */
  uuidOf({ id }: Topic): Buffer {
    return createHash('sha256').update(`${this.clusterId}/${id}`).digest().subarray(0, 16)
  }

  /** On disk when it returns, as is all that follows but a commit. */
  create(name: string, partitions: number, config: TopicConfig): void {
    const topic = { id: ++this.#topicId, name, partitions, config }
    this.#store(new Map([...this.#topics, [name, topic]]), this.#commits)
  }

  configure(name: string, config: TopicConfig): void {
    const topic = this.#topics.get(name)
    if (topic) this.#store(new Map([...this.#topics, [name, { ...topic, config }]]), this.#commits)
  }

  /** With what was committed about it. The journal must have no more of either. */
  delete(name: string): void {
    const others = (commits: Map<string, Commit>) => [...commits].filter(([, { topic }]) => topic !== name)
    const commits = [...this.#commits].map(([group, all]) => [group, new Map(others(all))] as const)
    const topics = [...this.#topics].filter(([other]) => other !== name)
    this.#store(new Map(topics), new Map(commits.filter(([, left]) => left.size > 0)))
  }

  /** A producer id that no producer had before, across restarts. */
  newProducerId(): number {
    void this.#change({ producerId: this.#producerId + 1 })
    const refusal = this.journal.flush()
    if (refusal) throw refusal
    return this.#producerId
  }

  /** The groups that have committed at all. */
  committedGroups(): string[] {
    return [...this.#commits.keys()]
  }

  committed(group: string): Commit[] {
    return [...(this.#commits.get(group)?.values() ?? [])]
  }

  /** All or none are on disk when it settles. The newest commit about a partition counts. */
  commit(group: string, commits: Commit[]): Promise<void> {
    return this.#change({ group, commits })
  }

  replay({ payload }: Entry): void {
    this.#apply(JSON.parse(payload.toString()))
  }

  written(): void {
    for (const change of this.#waiting) this.#apply(change)
    this.#waiting = []
  }

  failed(): void {
    this.#waiting = []
  }

  persist(): boolean {
    this.#store(this.#topics, this.#commits)
    return true
  }

  #store(topics: Topics, commits: Commits): void {
    const content: Content & { format: number } = {
      format,
      clusterId: this.clusterId,
      topicId: this.#topicId,
      producerId: this.#producerId,
      topics: [...topics.values()],
      commits: [...commits].map(([group, all]) => [group, [...all.values()]]),
    }
    try {
      this.journal.disk.checkRoom()
      this.journal.disk.replaceFile(this.#path, JSON.stringify(content))
    } catch (error) {
      throw new Refusal('KAFKA_STORAGE_ERROR', String(error))
    }
    this.#topics = topics
    this.#commits = commits
  }

  #change(change: Change): Promise<void> {
    this.#waiting.push(change)
    const payload = Buffer.from(JSON.stringify(change))
    return this.journal.append({ topic: 0, partition: 0, payload }, this)
  }

  /** Of changes that are replayed some may be known already. */
  #apply(change: Change): void {
    if ('group' in change) {
      const commits = this.#commits.get(change.group) ?? new Map<string, Commit>()
      for (const commit of change.commits) commits.set(`${commit.topic}/${commit.partition}`, commit)
      if (commits.size > 0) this.#commits.set(change.group, commits)
    } else this.#producerId = Math.max(this.#producerId, change.producerId)
  }
}

/** Undefined for a new directory. */
function read(dataDir: string): Content | undefined {
  const path = join(dataDir, fileName)
  if (existsSync(path)) {
    const content = JSON.parse(readFileSync(path, 'utf8'))
    if (content.format === format) return content
  } else if (existsSync(join(dataDir, sqliteName))) return readSqlite(join(dataDir, sqliteName))
  else if (readdirSync(join(dataDir, 'logs')).length === 0) return undefined
  throw new Error(
    `${dataDir} has records of another version: start that one, remove it, or choose another data directory`,
  )
}

const sqliteName = 'catalog.sqlite'
const sqliteNames = ['', '-wal', '-shm'].map((suffix) => sqliteName + suffix)

/** What versions before the journal knew. Their records are in the same files as ours. */
function readSqlite(path: string): Content {
  const database = new Database(path)
  try {
    const all = <Row>(sql: string) => database.query<Row, []>(sql).all()
    const last = (table: string) => {
      return all<{ seq: number }>(`select seq from sqlite_sequence where name = '${table}'`)[0]?.seq ?? 0
    }
    const topics = all<Omit<Topic, 'config'> & { config: string }>('select * from topics')
    const commits = all<Commit & { group: string }>(
      'select group_id as "group", topic, partition, "offset", metadata from commits',
    )
    return {
      clusterId: all<{ id: string }>('select id from cluster')[0]?.id ?? Bun.randomUUIDv7('base64url'),
      topicId: last('topics'),
      producerId: last('producers'),
      topics: topics.map((topic) => ({ ...topic, config: JSON.parse(topic.config) })),
      commits: [...Map.groupBy(commits, ({ group }) => group)].map(([group, found]) => {
        return [group, found.map(({ group: _, ...commit }) => commit)]
      }),
    }
  } finally {
    database.close()
  }
}
