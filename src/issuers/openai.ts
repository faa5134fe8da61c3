import type { Issuer } from '../core/ports.ts'
import { createAdmin } from './openai-admin.ts'
import {
  checkedAddress,
  checkedMinting,
  type OpenAIAddress,
  type OpenAIIssuerOptions,
} from './openai-options.ts'
import { createVerify } from './openai-probe.ts'
import { createWire, type IssuerContext, type Wire } from './openai-wire.ts'

export type { OpenAIAddress, OpenAIIssuerOptions } from './openai-options.ts'
export type { IssuerContext } from './openai-wire.ts'

/**
 * OpenAI as the issuer: proves keys, and with an admin key, a project and a service account mints, lists and revokes
 * them. Throws `config_invalid` for options that cannot be right; otherwise methods throw only before anything could be
 * changed (the admin key could not be read, an argument is out of range, no such service account), and everything that the
 * network does is an outcome.
 */
export function createOpenAIIssuer(options: OpenAIIssuerOptions, context: IssuerContext): Issuer {
  const minting = checkedMinting(options)
  const { base, wire } = createVerifier(options, context)
  if (minting === undefined) return { kind: 'openai', canMint: false, ...base }
  const { projectId, mode } = minting
  // The mode is part of it: in one of them the name of a key is that of its account.
  const place = [base.baseUrl, projectId, ...(mode === 'new_service_account' ? ['by account'] : [])].join(' ')
  return { kind: 'openai', canMint: true, place, ...base, ...createAdmin(minting, wire, context) }
}

/** The part that every issuer has which speaks the API of OpenAI. */
export function createVerifier(
  options: OpenAIAddress,
  context: IssuerContext,
): { readonly wire: Wire; readonly base: Pick<Issuer, 'baseUrl' | 'verify' | 'close'> } {
  const { baseUrl, timeoutMs } = checkedAddress(options)
  const wire = createWire({ baseUrl, timeoutMs }, context)
  const verify = createVerify(wire, context)
  const { organization, project } = options
  const sent = {
    ...(organization === undefined ? {} : { organization }),
    ...(project === undefined ? {} : { project }),
  }
  return {
    wire,
    base: {
      baseUrl,
      verify: (secret, expectation) => verify(secret, { ...sent, ...expectation }),
      async close() {
        wire.close()
      },
    },
  }
}
