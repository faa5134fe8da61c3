import { describe, expect, it } from 'vitest'
import { looksLikeKey } from '../../src/core/key-shape.ts'
import { checksumOf, newToken } from '../../src/server/token-plans.ts'

describe('a new token', () => {
  it.each(['sk-', 'abc-sk-', 'abc_sk-'])('is drawn again where chance wrote %s into it', (piece) => {
    const drawn = [`${piece}${'a'.repeat(43 - piece.length)}`, 'b'.repeat(42) + 'A'].map((text) =>
      Buffer.from(text, 'base64url'),
    )
    expect(looksLikeKey(`kt_app_${drawn[0]?.toString('base64url')}`)).toBe(true)
    const token = newToken('app', { bytes: () => drawn.shift() ?? new Uint8Array(32) })
    const body = `kt_app_${'b'.repeat(42)}A`
    expect(token).toBe(body + checksumOf(body))
  })
})
