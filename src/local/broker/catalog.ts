import { Database, type SQLQueryBindings } from 'bun:sqlite'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { makeFilePrivate } from '../private-files.ts'
import { Refusal } from './errors.ts'
import type { Disk } from './log/segment.ts'

type Statement = [sql: string, ...values: SQLQueryBindings[]]
export type Commit = { topic: string; partition: number; offset: number; metadata: string | null }

/**
 * What a broker knows beside records: topics, committed offsets and who it is. SQLite keeps it, so
 * that each change is on disk as a whole, or not at all, when `write` returns.
 */
export class Catalog {
  readonly #database: Database

  constructor(
    dataDir: string,
    readonly disk: Disk,
  ) {
    if (existsSync(join(dataDir, 'catalog.json')))
      throw new Error(`${dataDir} is of a version before SQLite: remove it, or choose another data directory`)
    // Its journal takes the mode of the file it belongs to.
    makeFilePrivate(join(dataDir, 'catalog.sqlite'))
    this.#database = new Database(join(dataDir, 'catalog.sqlite'))
    this.#database.run('pragma journal_mode = wal')
    this.#database.run(`pragma synchronous = ${disk.fsync ? 'full' : 'off'}`)
    // Autoincrement, because ids must not be reused.
    this.#database.run(`
      create table if not exists topics (
        id integer primary key autoincrement, name unique, partitions, config
      );
      create table if not exists commits (
        group_id, topic, partition, "offset", metadata, primary key (group_id, topic, partition)
      ) without rowid;
      create table if not exists producers (id integer primary key autoincrement);
      create table if not exists cluster (id);
    `)
  }

  read<Row>(sql: string, ...values: SQLQueryBindings[]): Row[] {
    return this.#database.query<Row, SQLQueryBindings[]>(sql).all(...values)
  }

  /** Runs all statements or none, and answers with what they return. Refused when the disk takes no more. */
  write<Row>(...statements: Statement[]): Row[] {
    try {
      this.disk.checkRoom()
      return this.#database.transaction(() =>
        statements.flatMap(([sql, ...values]) => this.read<Row>(sql, ...values)),
      )()
    } catch (error) {
      throw new Refusal('KAFKA_STORAGE_ERROR', String(error))
    }
  }

  /** The groups that have committed at all. */
  committedGroups(): string[] {
    const rows = this.read<{ id: string }>('select distinct group_id as id from commits')
    return rows.map(({ id }) => id)
  }

  committed(group: string): Commit[] {
    return this.read('select topic, partition, "offset", metadata from commits where group_id = ?', group)
  }

  /** The newest commit about a partition counts. It goes with its topic, see `Topics`. */
  commit(group: string, commits: Commit[]): void {
    const statement = ({ topic, partition, offset, metadata }: Commit): Statement => {
      return ['replace into commits values (?, ?, ?, ?, ?)', group, topic, partition, offset, metadata]
    }
    this.write(...commits.map(statement))
  }

  close(): void {
    this.#database.close()
  }
}
