import { join } from 'node:path'
import { z } from 'zod'
import { absolutePassphrase } from './drivers.ts'
import { durationMs } from './duration.ts'
import { duration, path, secretSource } from './fields.ts'
import type { LastKnownGoodConfig } from './types.ts'

export const lastKnownGoodSchema = z
  .strictObject({
    enabled: z
      .boolean({ error: 'expected true or false' })
      .default(true)
      .describe('Whether what is handed out is kept on this machine, encrypted.'),
    path: path('The file. Default: `last-known-good/keys.age` in the home folder.').optional(),
    identityFile: path(
      'The age identity that opens it. Default: `last-known-good/identity.txt` in the home folder, made on first use.',
    ).optional(),
    passphrase: secretSource('The passphrase that wraps the identity file.').optional(),
    maxAge: duration(
      { default: '100d', min: '1m', max: '365d' },
      'A key that proved itself longer ago is not handed out from the file.',
    ),
  })
  .prefault({})
  .describe(
    'What a restart answers from when the ledger, the stores and the issuer cannot be reached (outages.md).',
  )

/** Undefined: none is kept. */
export function buildLastKnownGood(
  file: z.output<typeof lastKnownGoodSchema>,
  home: string,
  resolve: (path: string) => string,
): LastKnownGoodConfig | undefined {
  if (!file.enabled) return undefined
  const folder = join(home, 'last-known-good')
  return {
    path: file.path === undefined ? join(folder, 'keys.age') : resolve(file.path),
    identityFile: file.identityFile === undefined ? join(folder, 'identity.txt') : resolve(file.identityFile),
    ...absolutePassphrase(file.passphrase, resolve),
    maxAgeMs: durationMs(file.maxAge),
  }
}
