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

export const rotationActs = ['restart', 'signal', 'none'] as const

export const programSignals = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
] as const satisfies readonly NodeJS.Signals[]

export const fileFormats = ['raw', 'env', 'json'] as const

export const fileModes = ['0600', '0640', '0400', '0440'] as const
