import { expect, it } from 'vitest'
import { crc32c } from '../../src/stores/google-crc32c.ts'

// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
it.each([
  ['', 0],
  ['123456789', 0xe3069283],
  ['\0'.repeat(32), 0x8a9136aa],
])('the checksum of %j is what it is known to be', (text, expected) => {
  expect(crc32c(Buffer.from(text))).toBe(expected)
})

it('is that of bytes, not of characters', () => {
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e)
})
