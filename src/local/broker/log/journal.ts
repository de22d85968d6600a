import fs from 'node:fs'
import { join } from 'node:path'
import { makePrivate } from '../../private-files.ts'
import { Refusal } from '../errors.ts'
import type { Disk } from './disk.ts'

/** What one log, or the catalog (topic 0), has on disk here until it is in files of its own. */
export type Entry = {
  topic: number
  partition: number
  payload: Buffer
  /** Read back damaged: the payload says at most whose it was. */
  damaged?: { file: string; bytes: number }
}

export type Owner = {
  /** What it appended in this turn is on disk; its payloads are views of what was written. */
  written(): void
  /** What it appended in this turn is not. */
  failed(): void
  /** Puts what it appended in this turn in files of its own at once; for one that can. Throws. */
  writeDirectly?(): void
  /**
   * Puts its entries in files of its own, on disk, and answers whether that was all of them; else there
   * were more than `bytesMax`. Throws, and may be asked again.
   */
  persist(bytesMax?: number): boolean
}

type Turn = { entries: Entry[]; owners: Set<Owner>; bytes: number; settled: PromiseWithResolvers<void> }

/** A file of the journal is left for the next one when it has this much. */
const fileBytesMax = 8 << 20
const stepBytes = 1 << 20
/** With this much for one owner alone, one write to its own files does as well. */
const directBytes = 64 << 10
/**
 * A small write takes a fraction of the time where the file does not grow, so it has this many zeros
 * set aside behind it for the next ones. For a larger one it makes no difference.
 */
const setAside = Buffer.alloc(32 << 10)

/**
 * number of the file int64 · bytes of the payload int32 · topic int32 · partition int32 · crc32 of these
 * three and the payload · payload
 */
const headerBytes = 24
const suffix = '.journal'

/**
 * All that logs and the catalog append in one turn of the event loop is one write and one fsync here.
 * Their owners keep it in memory, too, and move it to files of their own a few megabytes at a time; then
 * the file of the journal goes. After a crash it is read once, at the start.
 */
export class Journal {
  #turn: Turn | undefined
  #active: { fd: number; path: string; number: number; bytes: number; fileBytes: number } | undefined
  /** Who has entries in the active file. */
  #owners = new Set<Owner>()
  /** Files before it, and who has entries in them that are not yet elsewhere. */
  #full: string[]
  #behind = new Set<Owner>()
  #lastNumber = 0

  constructor(
    readonly directory: string,
    readonly disk: Disk,
  ) {
    makePrivate(directory)
    this.#full = fs.readdirSync(directory).filter((name) => name.endsWith(suffix))
    this.#full = this.#full.sort().map((name) => join(directory, name))
  }

  /**
   * At the start, what a broker that was killed left behind: answers with its owner, if it still has one.
   * Damaged entries are moved to a file beside the journal.
   */
  replay(ownerOf: (entry: Entry) => Owner | undefined): void {
    let isDamaged = false
    let bytes = 0
    for (const path of this.#full) {
      this.#lastNumber = numberOf(path)
      // A killed process leaves bytes with the operating system that may not be on disk yet, and
      // readers are about to see them.
      this.disk.sync(path)
      for (const entry of readEntries(path, this.disk)) {
        isDamaged ||= entry.damaged !== undefined
        bytes += entry.payload.length
        const owner = ownerOf(entry)
        if (owner) this.#behind.add(owner)
      }
    }
    // What is damaged is reported once.
    if (isDamaged || this.#behind.size === 0) this.checkpoint()
    // Kills in short succession must not add up.
    else if (bytes >= fileBytesMax) setImmediate(() => this.#step())
  }

  /** Settles when the entry is on disk, and its owner knows. All of a turn share one write. */
  append(entry: Entry, owner: Owner): Promise<void> {
    if (!this.#turn) {
      this.#turn = { entries: [], owners: new Set(), bytes: 0, settled: Promise.withResolvers() }
      // With acks 0 no caller waits for it.
      this.#turn.settled.promise.catch(() => {})
      setImmediate(() => this.flush())
    }
    this.#turn.entries.push(entry)
    this.#turn.bytes += entry.payload.length
    this.#turn.owners.add(owner)
    return this.#turn.settled.promise
  }

  /** Settles when all that was appended so far is on disk. */
  get durable(): Promise<void> {
    return this.#turn?.settled.promise ?? Promise.resolve()
  }

  /**
   * Puts on disk what was appended so far, or refuses all of it: then answers with the refusal. In this
   * thread, because handing a write to another one and back costs as much processor time as the write
   * itself; what arrives meanwhile waits in its sockets and shares the next one.
   */
  flush(): Refusal | undefined {
    const turn = this.#turn
    if (!turn) return undefined
    this.#turn = undefined
    const direct = this.#directOwner(turn)
    try {
      if (direct) direct.writeDirectly?.()
      else this.#write(turn.entries)
    } catch (error) {
      // As after a crash: what is not on disk never was.
      const refusal = new Refusal('KAFKA_STORAGE_ERROR', String(error))
      for (const owner of turn.owners) owner.failed()
      turn.settled.reject(refusal)
      return refusal
    }
    for (const owner of turn.owners) {
      if (!direct) this.#owners.add(owner)
      owner.written()
    }
    turn.settled.resolve()
    if ((this.#active?.bytes ?? 0) >= fileBytesMax) this.#leaveFile()
    return undefined
  }

  /**
   * All that was appended is in the files of its owners afterwards, and nowhere else: no byte of it is left
   * here. Refuses when the disk does not take it.
   */
  checkpoint(): void {
    this.flush()
    try {
      this.#finish()
      this.#rotate()
      this.#finish()
    } catch (error) {
      throw new Refusal('KAFKA_STORAGE_ERROR', String(error))
    }
  }

  /** Throws why owners could not persist, if they could not. */
  catchUp(): void {
    if (this.#behind.size > 0) this.#finish()
  }

  /** Removes, too, what was moved aside as damaged, since its owner is not known. */
  erase(): void {
    this.checkpoint()
    for (const name of fs.readdirSync(this.directory))
      if (name.endsWith('.damaged')) fs.unlinkSync(join(this.directory, name))
  }

  /** Where the disk takes no more, the journal has what is nowhere else until the next start. */
  close(): void {
    try {
      this.checkpoint()
    } catch {
      this.#rotate()
    }
  }

  /** The owners persist some in each turn, so that no request waits for all of it. */
  #leaveFile(): void {
    try {
      this.#finish()
      this.#rotate()
      setImmediate(() => this.#step())
    } catch {
      // Tried again with the next write and with `catchUp`; until then the file grows.
    }
  }

  #step(): void {
    try {
      const [owner] = this.#behind
      if (owner?.persist(stepBytes)) this.#behind.delete(owner)
      if (this.#behind.size === 0) this.#finish()
      else setImmediate(() => this.#step())
    } catch {
      // Tried again with `catchUp`, and before the next file is begun.
    }
  }

  /** Of one that has entries here, all that follow them must be here, too, or a replay would cut them off. */
  #directOwner({ owners, bytes }: Turn): Owner | undefined {
    const [owner] = owners
    if (!owner?.writeDirectly || owners.size > 1 || bytes < directBytes) return undefined
    return this.#owners.has(owner) || this.#behind.size > 0 ? undefined : owner
  }

  #finish(): void {
    for (const owner of this.#behind) {
      owner.persist()
      this.#behind.delete(owner)
    }
    for (const path of this.#full) fs.unlinkSync(path)
    if (this.#full.length > 0) this.disk.sync(this.directory)
    this.#full = []
  }

  #rotate(): void {
    if (!this.#active) return
    fs.closeSync(this.#active.fd)
    this.#full.push(this.#active.path)
    this.#active = undefined
    for (const owner of this.#owners) this.#behind.add(owner)
    this.#owners = new Set()
  }

  #open() {
    this.disk.checkRoom()
    const number = Math.max(Date.now(), this.#lastNumber + 1)
    const path = join(this.directory, `${number}${suffix}`)
    const fd = fs.openSync(path, 'wx', 0o600)
    this.#lastNumber = number
    this.disk.sync(this.directory)
    return { fd, path, number, bytes: 0, fileBytes: 0 }
  }

  #write(entries: Entry[]): void {
    this.#active ??= this.#open()
    const active = this.#active
    const parts = entries.flatMap((entry) => [headerOf(entry, active.number), entry.payload])
    const bytes = Buffer.concat(parts)
    const end = active.bytes + bytes.length
    try {
      if (this.disk.fsync && bytes.length < setAside.length && end > active.fileBytes)
        active.fileBytes = end + fs.writeSync(active.fd, setAside, 0, setAside.length, end)
      this.disk.write(active.fd, bytes, active.bytes)
    } catch (error) {
      // With what was set aside.
      active.fileBytes = active.bytes
      throw error
    }
    active.bytes = end
    active.fileBytes = Math.max(active.fileBytes, end)
    let at = 0
    for (const entry of entries) {
      at += headerBytes + entry.payload.length
      entry.payload = bytes.subarray(at - entry.payload.length, at)
    }
  }
}

const numberOf = (path: string): number => Number.parseInt(path.split(/[\\/]/).at(-1) ?? '', 10)

function checksumOf(header: Buffer, payload: Buffer): number {
  return Bun.hash.crc32(payload, Bun.hash.crc32(header.subarray(8, 20)))
}

function headerOf({ topic, partition, payload }: Entry, number: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes)
  header.writeBigInt64BE(BigInt(number), 0)
  header.writeInt32BE(payload.length, 8)
  header.writeUInt32BE(topic, 12)
  header.writeInt32BE(partition, 16)
  header.writeUInt32BE(checksumOf(header, payload), 20)
  return header
}

/** Zeros at the end are space set aside. */
function readEntries(path: string, disk: Disk): Entry[] {
  const bytes = fs.readFileSync(path)
  const mark = Buffer.allocUnsafe(8)
  mark.writeBigInt64BE(BigInt(numberOf(path)))
  let dataEnd = bytes.length
  while (dataEnd > 0 && bytes[dataEnd - 1] === 0) dataEnd--
  const entries: Entry[] = []
  for (let at = 0; at < dataEnd; ) {
    let entry = entryAt(bytes, at, mark)
    let end = at + headerBytes + (entry?.payload.length ?? 0)
    if (!entry?.isIntact) {
      // Damage goes as far as the next intact entry.
      end = bytes.indexOf(mark, at + 1)
      while (end >= 0 && !entryAt(bytes, end, mark)?.isIntact) end = bytes.indexOf(mark, end + 1)
      if (end < 0) end = Math.max(dataEnd, at + (entry ? headerBytes + entry.payload.length : 0))
      const file = `${path}.${at}.damaged`
      disk.replaceFile(file, bytes.subarray(at, end))
      const damaged = { file, bytes: end - at }
      entry = { topic: -1, partition: -1, payload: Buffer.alloc(0), isIntact: false, ...entry, damaged }
    }
    entries.push(entry)
    at = end
  }
  return entries
}

function entryAt(bytes: Buffer, at: number, mark: Buffer): (Entry & { isIntact: boolean }) | undefined {
  const header = bytes.subarray(at, at + headerBytes)
  if (header.length < headerBytes || !header.subarray(0, 8).equals(mark)) return undefined
  const length = header.readInt32BE(8)
  if (length < 0 || at + headerBytes + length > bytes.length) return undefined
  const payload = bytes.subarray(at + headerBytes, at + headerBytes + length)
  const isIntact = header.readUInt32BE(20) === checksumOf(header, payload)
  return { topic: header.readUInt32BE(12), partition: header.readInt32BE(16), payload, isIntact }
}
