// Setting up who may exchange a token: an identity provider with the keys that sign its tokens, and its mappings.

import { createPublicKey } from 'node:crypto'
import type { World } from './world.ts'

export interface IdentityProviderOptions {
  /** The `iss` of its tokens. */
  readonly issuer: string
  /** What must be among their `aud`. */
  readonly audience: string
  /** PEM of the public keys that sign them (RSA, EC P-256 or Ed25519). */
  readonly publicKeys: readonly string[]
  /** Default: the sandbox's organisation. */
  readonly organization?: string
}

export interface IdentityMapping {
  readonly provider: string
  /** The `sub` of the workload's tokens. */
  readonly subject: string
  /** Default: the sandbox's service account. */
  readonly serviceAccount?: string
}

export interface IdentityMakers {
  /** Makes an identity provider and returns its id. Throws where a key is none. */
  createIdentityProvider(options: IdentityProviderOptions): string
  /** Lets tokens of this subject become the service account. */
  mapIdentity(mapping: IdentityMapping): void
  /** Takes a mapping away; tokens that were exchanged before live on until they expire. */
  unmapIdentity(mapping: IdentityMapping): void
}

export function identityMakers(world: World): IdentityMakers {
  const { home } = world.data
  const providerOf = (id: string) => {
    const provider = world.identityProvider(id)
    if (provider === undefined) throw new TypeError(`The sandbox has no identity provider with the id ${id}.`)
    return provider
  }
  const accountOf = (id = home.serviceAccount) => {
    if (world.serviceAccount(id) === undefined)
      throw new TypeError('The sandbox has no such service account.')
    return id
  }
  return {
    createIdentityProvider({ issuer, audience, publicKeys, organization = home.organization }) {
      for (const pem of publicKeys) createPublicKey(pem)
      return world.addIdentityProvider({ issuer, audience, publicKeys: [...publicKeys], organization }).id
    },
    mapIdentity({ provider, subject, serviceAccount }) {
      world.changeMappings(providerOf(provider), (all) => [
        ...all,
        { subject, serviceAccount: accountOf(serviceAccount) },
      ])
    },
    unmapIdentity({ provider, subject, serviceAccount }) {
      const account = accountOf(serviceAccount)
      world.changeMappings(providerOf(provider), (all) =>
        all.filter((one) => one.subject !== subject || one.serviceAccount !== account),
      )
    },
  }
}
