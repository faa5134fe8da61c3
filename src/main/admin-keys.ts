import type { AdminKeyConfig } from '../config.ts'
import { blackoutsOf } from '../core/blackout.ts'
import { KeyturnError } from '../core/errors.ts'
import { overlapOf } from '../core/overlap.ts'
import type { Issuer, Occurrences, SecretStore } from '../core/ports.ts'
import type { SecretOf } from '../engine/lending.ts'
import type { CredentialSetup } from '../engine/setup.ts'
import { adminScopes, type IssuerContext, openIssuer } from '../issuers/index.ts'

/** The issuers are opened before there is a service: until then, and where none is looked after, nothing is lent. */
export interface Loan {
  readonly secretOf: SecretOf
  readonly open: (secretOf: SecretOf) => void
}

export function createLoan(): Loan {
  let lent: SecretOf | undefined
  return {
    secretOf: (name, asker) => (lent === undefined ? Promise.reject(notLent(name)) : lent(name, asker)),
    open(secretOf) {
      lent = secretOf
    },
  }
}

function notLent(name: string): KeyturnError {
  return new KeyturnError('issuer_denied', `The admin key ${name} is not opened in this process.`, {
    fix: 'Only a service (keyturn serve, keyturn tick) makes and ends keys.',
  })
}

export function openAdminKeyIssuer(
  { name, baseUrl, timeoutMs }: AdminKeyConfig,
  loan: Loan,
  context: IssuerContext,
): Issuer {
  return openIssuer(
    { kind: 'openai-admin-keys', baseUrl, timeoutMs, adminKey: () => loan.secretOf(name, 'itself') },
    context,
  )
}

/** The same walks as for any credential; what is different is who gets the key, and that these keys make each other. */
export function adminKeySetup(
  config: AdminKeyConfig,
  {
    store,
    issuer,
    occurrences,
  }: { readonly store: SecretStore; readonly issuer: Issuer; readonly occurrences: Occurrences },
): CredentialSetup {
  const { writable } = store.capabilities
  const { overlapMs, because } = overlapOf({
    configuredMs: config.policy.overlapMs,
    stores: [store.capabilities],
    consumers: [],
  })
  return {
    name: config.name,
    ref: config.ref,
    store,
    mirrors: [],
    issuer,
    isInternal: true,
    expected: {
      ...(config.organization === undefined ? {} : { organization: config.organization }),
      scopes: adminScopes,
    },
    mintScopes: [],
    policy: {
      ...config.policy,
      canMint: true,
      isSelfMinting: true,
      isManual: false,
      storeWritable: writable,
      mirrors: [],
      standby: false,
      overlapMs,
      ...(because === undefined ? {} : { overlapBecause: because }),
      ...(config.blackout.length === 0 ? {} : { blackoutAt: blackoutsOf(config.blackout, occurrences) }),
    },
    schedule: writable ? (config.schedule ?? undefined) : undefined,
  }
}
