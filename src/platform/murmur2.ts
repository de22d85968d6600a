/** MurmurHash2 as Kafka's clients in Java compute it, by which they choose the partition of a key. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  const word = (at: number) =>
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  let hash = 0x9747b28c ^ length
  const wordsEnd = length & ~3
  for (let at = 0; at < wordsEnd; at += 4) {
    const mixed = Math.imul(word(at), m)
    hash = Math.imul(hash, m) ^ Math.imul(mixed ^ (mixed >>> 24), m)
  }
  for (let at = length - 1; at >= wordsEnd; at--) hash ^= (bytes[at] as number) << (8 * (at - wordsEnd))
  if (length > wordsEnd) hash = Math.imul(hash, m)
  hash = Math.imul(hash ^ (hash >>> 13), m)
  return hash ^ (hash >>> 15)
}

const m = 0x5bd1e995
