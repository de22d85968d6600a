import { expect, test } from 'bun:test'
import { crc32c } from './crc32c.ts'

test('gives the check value of CRC-32C and those of RFC 3720', () => {
  expect(crc32c(Buffer.from('123456789')).toString(16)).toBe('e3069283')
  expect(crc32c(Buffer.alloc(32)).toString(16)).toBe('8a9136aa')
  expect(crc32c(Buffer.alloc(32, 0xff)).toString(16)).toBe('62a8ab43')
  expect(crc32c(Buffer.alloc(0))).toBe(0)
})
