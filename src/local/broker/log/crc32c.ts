/**
 * CRC-32C (Castagnoli), the checksum of a record batch. Four bytes a step, which is more than twice
 * as fast as one.
 */

/** For each byte, its effect on the checksum when nothing follows it in the step. */
const t0 = new Int32Array(256).map((_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})
const shifted = (table: Int32Array) => table.map((crc) => (t0[crc & 0xff] as number) ^ (crc >>> 8))
const t1 = shifted(t0)
const t2 = shifted(t1)
const t3 = shifted(t2)

export function crc32c(bytes: Uint8Array): number {
  const wordsEnd = bytes.length - (bytes.length % 4)
  let crc = -1
  let at = 0
  while (at < wordsEnd) {
    const b0 = (crc ^ (bytes[at] as number)) & 0xff
    const b1 = ((crc >>> 8) ^ (bytes[at + 1] as number)) & 0xff
    const b2 = ((crc >>> 16) ^ (bytes[at + 2] as number)) & 0xff
    const b3 = (crc >>> 24) ^ (bytes[at + 3] as number)
    crc = (t3[b0] as number) ^ (t2[b1] as number) ^ (t1[b2] as number) ^ (t0[b3] as number)
    at += 4
  }
  for (; at < bytes.length; at++) crc = (t0[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8)
  return (crc ^ -1) >>> 0
}
