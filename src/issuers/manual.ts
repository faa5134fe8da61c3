import type { Issuer } from '../core/ports.ts'
import { createVerifier, type IssuerContext, type OpenAIAddress } from './openai.ts'

export type ManualIssuerOptions = OpenAIAddress

/**
 * For operators who make and delete keys themselves: keys are proven against OpenAI all the same, but nothing is minted,
 * listed or revoked. A rotation waits until the operator brings the next key.
 */
export function createManualIssuer(options: ManualIssuerOptions, context: IssuerContext): Issuer {
  return { kind: 'manual', canMint: false, ...createVerifier(options, context).base }
}
