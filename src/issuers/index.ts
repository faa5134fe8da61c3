import type { Issuer } from '../core/ports.ts'
import { createManualIssuer, type ManualIssuerOptions } from './manual.ts'
import { createOpenAIIssuer, type IssuerContext, type OpenAIIssuerOptions } from './openai.ts'

export type { IssuerContext } from './openai.ts'

export type IssuerSettings =
  | ({ readonly kind: 'openai' } & OpenAIIssuerOptions)
  | ({ readonly kind: 'manual' } & ManualIssuerOptions)

/** Opens the configured issuer. Does no I/O; throws `config_invalid` for options that cannot be right. */
export function openIssuer(settings: IssuerSettings, context: IssuerContext): Issuer {
  return settings.kind === 'manual'
    ? createManualIssuer(settings, context)
    : createOpenAIIssuer(settings, context)
}
