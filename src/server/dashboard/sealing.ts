import { createCipheriv, createDecipheriv, hash } from 'node:crypto'
import type { System } from '../../core/ports.ts'

/** What a browser keeps for us: it can neither read nor change it. */
export interface Sealer {
  seal(value: unknown): string
  /** Undefined for what was not sealed here, or for something else. */
  open(sealed: string): unknown
}

/** Browsers keep 4,096 bytes of a cookie, name and attributes among them. */
export const sealedCharsMax = 3_900
const nonceBytes = 12
const tagBytes = 16
const algorithm = 'aes-256-gcm'

/** `purpose`: what is sealed for one is nothing for another. */
export function createSealer(options: {
  readonly secret: Uint8Array
  readonly purpose: string
  readonly system: Pick<System, 'bytes'>
}): Sealer {
  const key = hash('sha256', options.secret, 'buffer')
  const purpose = Buffer.from(`keyturn dashboard ${options.purpose}`)
  return {
    seal(value) {
      const nonce = options.system.bytes(nonceBytes)
      const cipher = createCipheriv(algorithm, key, nonce)
      cipher.setAAD(purpose)
      const body = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')
    },
    open(sealed) {
      const bytes = Buffer.from(sealed.length > sealedCharsMax ? '' : sealed, 'base64url')
      if (bytes.length <= nonceBytes + tagBytes) return undefined
      try {
        const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes))
        decipher.setAAD(purpose)
        decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
        const parts = [decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]
        return JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown
      } catch {
        // Sealed with another key, for something else, or changed since.
        return undefined
      }
    },
  }
}
