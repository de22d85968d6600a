/** The package has types for its CRC-32 alone. */
declare module 'crc-32/crc32c.js' {
  /** CRC-32C, signed, going on from `seed`. */
  export function buf(bytes: Uint8Array, seed?: number): number
}
