import type { Issuer } from '../core/ports.ts'
import { createManualIssuer, type ManualIssuerOptions } from './manual.ts'
import { createOpenAIIssuer, type IssuerContext, type OpenAIIssuerOptions } from './openai.ts'
import { type AdminKeyIssuerOptions, createAdminKeyIssuer } from './openai-admin-keys.ts'

export type { IssuerContext } from './openai.ts'
export { adminScopes } from './openai-admin-keys.ts'

export type IssuerSettings =
  | ({ readonly kind: 'openai' } & OpenAIIssuerOptions)
  | ({ readonly kind: 'openai-admin-keys' } & AdminKeyIssuerOptions)
  | ({ readonly kind: 'manual' } & ManualIssuerOptions)

/** Opens the configured issuer. Does no I/O; throws `config_invalid` for options that cannot be right. */
export function openIssuer(settings: IssuerSettings, context: IssuerContext): Issuer {
  switch (settings.kind) {
    case 'manual':
      return createManualIssuer(settings, context)
    case 'openai-admin-keys':
      return createAdminKeyIssuer(settings, context)
    case 'openai':
      return createOpenAIIssuer(settings, context)
  }
}
