/**
 * Finds what is intact among bytes some of which changed on disk. Pure: what becomes of the rest is
 * decided elsewhere.
 */
import { type BatchHeader, isIntact, readHeader } from './record-batch.ts'

export type Salvage = {
  /** Whole batches in order, stamped with the offsets they have. */
  kept: Buffer[]
  damaged: DamagedBytes[]
  /** One past the last offset that was given, as far as it can be determined. */
  endOffset: number
}

/**
 * The records from one offset up to another, that one not included, are among these bytes. None are
 * known where both are the same.
 */
export type DamagedBytes = { bytes: Buffer; fromOffset: number; toOffset: number }

/**
 * Zeros at the end are space set aside. `isGap` says whether records are known to be missing from
 * an offset on.
 */
export function salvage(
  bytes: Buffer,
  baseOffset: number,
  isGap: (offset: number) => boolean = () => false,
): Salvage {
  const dataEnd = bytes.findLastIndex((byte) => byte !== 0) + 1
  const kept: Buffer[] = []
  const damaged: DamagedBytes[] = []
  let endOffset = baseOffset
  let afterDamage = false
  for (let at = 0; at < dataEnd; ) {
    const batch = intactAt(bytes, at)
    if (batch) {
      const offset = offsetOf(bytes, at, batch, endOffset, afterDamage || isGap(endOffset))
      const gap = damaged.at(-1)
      if (afterDamage && gap) gap.toOffset = offset
      kept.push(stamped(bytes.subarray(at, at + batch.bytes), offset))
      endOffset = offset + batch.recordsCount
      at += batch.bytes
      afterDamage = false
      continue
    }
    const claimed = claimedAt(bytes, at, endOffset)
    const end = claimed ? at + claimed.bytes : Math.min(nextIntact(bytes, at + 1, endOffset), dataEnd)
    // Of a last batch of which all is there only the header says how far it goes; its offsets are
    // not given again.
    const toOffset = endOffset + (claimed?.recordsCount ?? 0)
    damaged.push({ bytes: bytes.subarray(at, end), fromOffset: endOffset, toOffset })
    endOffset = toOffset
    at = end
    afterDamage = true
  }
  return { kept, damaged, endOffset }
}

/** The batch whose checksum holds. */
function intactAt(bytes: Buffer, at: number): BatchHeader | undefined {
  const batch = readHeader(bytes, at)
  if (!batch || at + batch.bytes > bytes.length) return undefined
  return isIntact(bytes.subarray(at, at + batch.bytes)) ? batch : undefined
}

/** What a header says whose batch is damaged, where it can be believed. */
function claimedAt(bytes: Buffer, at: number, offset: number): BatchHeader | undefined {
  const batch = readHeader(bytes, at)
  const isLikely = batch?.baseOffset === offset && batch.recordsCount === batch.lastOffset - offset + 1
  const end = at + (batch?.bytes ?? 0)
  const dataEnd = bytes.findLastIndex((byte) => byte !== 0) + 1
  if (!isLikely || end > bytes.length) return undefined
  if (intactAt(bytes, end)?.baseOffset === offset + batch.recordsCount) return batch
  // The last one, unless its length is what changed. Zeros may be its own, or set aside.
  const isLast = end >= dataEnd && nextIntact(bytes, at + 1, offset + batch.recordsCount) >= dataEnd
  return isLast ? batch : undefined
}

/**
 * The offset in front of a batch is not part of its checksum. One that does not go on where the batch before
 * ended is believed where records are known to be missing, or where the next batch agrees.
 */
function offsetOf(
  bytes: Buffer,
  at: number,
  batch: BatchHeader,
  expected: number,
  mayBeLater: boolean,
): number {
  const { baseOffset, recordsCount } = batch
  if (baseOffset <= expected) return expected
  const next = intactAt(bytes, at + batch.bytes)
  const agrees = next?.baseOffset === baseOffset + recordsCount
  const agreesOtherwise = next?.baseOffset === expected + recordsCount
  return agrees || (mayBeLater && !agreesOtherwise) ? baseOffset : expected
}

function stamped(batch: Buffer, offset: number): Buffer {
  if (Number(batch.readBigInt64BE(0)) === offset) return batch
  const copy = Buffer.from(batch)
  copy.writeBigInt64BE(BigInt(offset), 0)
  return copy
}

/** Where a batch begins again, or the end. Byte by byte, since nothing says how long the damage is. */
function nextIntact(bytes: Buffer, from: number, offset: number): number {
  for (let at = bytes.indexOf(2, from + 16) - 16; at >= from; at = bytes.indexOf(2, at + 17) - 16) {
    // The broker stamps leader epoch 0 on every batch.
    if (bytes.readInt32BE(at + 12) !== 0) continue
    const batch = readHeader(bytes, at)
    if (batch && batch.baseOffset >= offset && intactAt(bytes, at)) return at
  }
  return bytes.length
}
