import type { Catalog } from './catalog.ts'

export type Commit = { topic: string; partition: number; offset: number; metadata: string | null }

/** How far each group has read. What a topic's readers committed goes with the topic, see `Topics`. */
export class CommittedOffsets {
  constructor(readonly catalog: Catalog) {}

  /** Those that have committed at all. */
  groups(): string[] {
    return this.catalog
      .read<{ id: string }>('select distinct group_id as id from commits')
      .map(({ id }) => id)
  }

  committed(group: string): Commit[] {
    return this.catalog.read(
      'select topic, partition, "offset", metadata from commits where group_id = ?',
      group,
    )
  }

  /** On disk when it returns. The newest commit about a partition counts. */
  commit(group: string, commits: Commit[]): void {
    this.catalog.write(
      ...commits.map(({ topic, partition, offset, metadata }): [string, ...(string | number | null)[]] => {
        return ['replace into commits values (?, ?, ?, ?, ?)', group, topic, partition, offset, metadata]
      }),
    )
  }
}
