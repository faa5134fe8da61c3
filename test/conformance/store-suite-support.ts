import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { expect } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import type { VersionId, VersionMeta } from '../../src/core/types.ts'

/** One place with one store in it, and what the suite needs around it. */
export interface StoreHarness {
  readonly store: SecretStore
  /** A secret that is free to be used. For stores that cannot make one, it is there and empty. */
  readonly ref: string
  /** A name under which there is nothing. */
  readonly absentRef: string
  /** Another client of the same place, as a second process would have. */
  readonly another: () => Promise<SecretStore>
  /** Puts a value there from outside, as an operator does. For stores that are only read. */
  readonly place?: (value: string) => Promise<void>
  /** Everything that was logged. */
  readonly logged: () => string
  readonly cleanUp: () => Promise<void>
}

export interface StoreCase {
  readonly title: string
  readonly run: (harness: StoreHarness) => Promise<void>
}

/** In every secret of the suite, so that one search finds any of them where it must not be. */
export const canary = ['canary', 'value', 'never', 'shown'].join('-')

export function newSecret(): Secret {
  return new Secret(`${canary}-${randomUUID()}`)
}

export const someMeta: VersionMeta = {
  keyId: 'key_abc123',
  serviceAccount: 'svc acct "ops" {1}',
  organization: 'org-AbC',
  project: 'proj_xyz',
  marker: 'kt-1f2e3d4c',
  createdAt: 1_795_000_000_000,
  expiresAt: 1_826_000_000_000,
}

export async function stageNew(
  store: SecretStore,
  ref: string,
  fence = 1,
): Promise<{ readonly version: VersionId; readonly secret: Secret }> {
  const version = randomUUID()
  const secret = newSecret()
  await store.stage(ref, { version, secret, meta: {}, fence })
  return { version, secret }
}

/** Stages a version and makes it current. */
export async function establish(
  store: SecretStore,
  ref: string,
  fence = 1,
): Promise<{ readonly version: VersionId; readonly secret: Secret }> {
  const staged = await stageNew(store, ref, fence)
  const expectCurrent = (await store.describe(ref))?.current
  const outcome = await store.promote(ref, { to: staged.version, expectCurrent, fence })
  expect(outcome).toEqual({ kind: 'promoted' })
  return staged
}

export async function failure(call: Promise<unknown>): Promise<KeyturnError> {
  const thrown: unknown = await call.then(
    (value) => expect.fail(`it should have failed, and gave ${inspect(value)}`),
    (reason: unknown) => reason,
  )
  expect(thrown).toBeInstanceOf(KeyturnError)
  const error = thrown as KeyturnError
  expectNoSecret(error)
  return error
}

export function expectNoSecret(value: unknown): void {
  const shown = `${inspect(value, { depth: 10, showHidden: true })} ${JSON.stringify(value)} ${String(value)}`
  expect(shown).not.toContain(canary)
}
