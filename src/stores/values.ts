import { KeyturnError } from '../core/errors.ts'
import type { Secret } from '../core/secret.ts'

/** 64 KiB, what AWS Secrets Manager takes, and for every store, so that a secret can move from one to another. */
export const secretBytesMax = 65_536

/** Refuses what no store could give back unchanged: nothing at all, too much, or text that UTF-8 cannot write. */
export function assertStorable(ref: string, secret: Secret): void {
  const text = secret.reveal()
  if (text.trim() === '')
    throw new KeyturnError('bad_request', `The secret for ${ref} is blank.`, { fix: 'Bring the key itself.' })
  if (!text.isWellFormed())
    throw new KeyturnError('bad_request', `The secret for ${ref} is not well-formed text.`, {
      fix: 'Bring the key as UTF-8 text.',
    })
  const bytes = Buffer.byteLength(text)
  if (bytes > secretBytesMax) throw tooLarge(ref, bytes)
}

export function tooLarge(name: string, bytes: number): KeyturnError {
  return new KeyturnError(
    'store_too_large',
    `The secret ${name} has ${bytes} bytes; at most ${secretBytesMax} are taken.`,
    { fix: 'Check that it is the key alone: an OpenAI key has about 200 characters.' },
  )
}
