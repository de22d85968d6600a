import { join } from 'node:path'
import { Disk } from '../local/broker/log/disk.ts'
import { type Entry, Journal } from '../local/broker/log/journal.ts'
import { type LogLimits, PartitionLog } from '../local/broker/log/partition-log.ts'
import type { Damage } from '../local/broker/log/segment.ts'

const unlimited: LogLimits = {
  batchBytesMax: 1 << 20,
  segmentBytes: 1 << 20,
  retentionBytes: -1,
  retentionMs: -1,
}

/** One log and its journal below a directory, with the damage that was found at opening. */
export function openLog(root: string, limits: Partial<LogLimits> = {}, disk = new Disk(false)) {
  const damages: Damage[] = []
  const journal = new Journal(join(root, 'journal'), disk)
  const entries: Entry[] = []
  let opened: PartitionLog | undefined
  const open = () => {
    const [directory, place] = [join(root, 'log'), { topic: 1, partition: 0 }]
    const onDamage = (damage: Damage) => void damages.push(damage)
    opened ??= new PartitionLog(directory, place, journal, { ...unlimited, ...limits }, onDamage, entries)
    return opened
  }
  journal.replay((entry) => {
    entries.push(entry)
    return entries.length > 1
      ? undefined
      : { written() {}, failed() {}, persist: (most?: number) => open().persist(most) }
  })
  const log = open()
  return Object.assign(log, {
    damages,
    /** Appends, to the journal alone. */
    note(records: Buffer): number {
      const { baseOffset } = log.append(records)
      journal.flush()
      return baseOffset
    },
    /** Appends, to a segment. */
    put(records: Buffer): number {
      const baseOffset = this.note(records)
      log.persist()
      return baseOffset
    },
    [Symbol.dispose]() {
      journal.close()
      log.close()
    },
  })
}
