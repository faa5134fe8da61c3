import type { CredentialAnswer } from '../api/types.ts'

/** Words that options and arguments take: the commands check against them, and completion offers them. */

export const credentialFields = [
  'apiKey',
  'organization',
  'project',
  'baseUrl',
  'version',
  'fingerprint',
  'stage',
  'verdict',
  'verifiedAt',
  'rotatesAt',
  'generation',
] as const satisfies readonly (keyof CredentialAnswer)[]

export const auditKinds = ['read', 'act', 'refusal', 'journal'] as const

export const tokenRoles = ['app', 'operator'] as const

export const shells = ['bash', 'zsh', 'fish'] as const

export type Shell = (typeof shells)[number]
