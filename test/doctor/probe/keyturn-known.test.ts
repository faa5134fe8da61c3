import { describe, expect, it } from 'vitest'
import type { CredentialSummary } from '../../../src/api/types.ts'
import { fingerprint } from '../../../src/core/fingerprint.ts'
import { Secret } from '../../../src/core/secret.ts'
import type { Facts, KeyturnCredential } from '../../../src/doctor/facts.ts'
import type { Sandbox } from '../../../src/sandbox/index.ts'
import { createSystem } from '../../../src/system.ts'
import { summaryOf, versionSummary } from '../../cli/samples.ts'
import { codesOf, factsOf, findingsOf, keyPlace, openSandbox } from './support.ts'

const verifiedAt = '2026-11-20T10:00:00.000Z'

/** What a service tells of a credential whose current key is this one. */
function statusOf(key: string, change: Partial<typeof versionSummary> = {}): CredentialSummary {
  const print = fingerprint(new Secret(key), createSystem())
  const version = {
    ...versionSummary,
    fingerprint: print,
    organization: null,
    project: null,
    expiresAt: null,
    verifiedAt,
    ...change,
  }
  return { ...summaryOf('payments'), current: version, versions: [version] }
}

function credentialFor(sandbox: Sandbox, change: Partial<KeyturnCredential>): KeyturnCredential {
  return {
    name: 'payments',
    store: 'vault',
    baseUrl: sandbox.baseUrl,
    expectation: {},
    canMint: true,
    permissions: [],
    stored: { kind: 'unread' },
    ...change,
  }
}

const knowing = (credential: KeyturnCredential): Partial<Facts> => ({
  keyturn: { isNamed: true, source: 'keyturn.yaml', problems: [], warnings: [], credentials: [credential] },
})

async function dead() {
  const sandbox = await openSandbox()
  const { id, value: key } = sandbox.createServiceAccountKey()
  sandbox.deleteKey(id)
  return { sandbox, key, baseUrl: sandbox.baseUrl }
}

describe('a dead key that Keyturn knows', () => {
  it('T07: worked until then, and is to be turned', async () => {
    const { sandbox, key, baseUrl } = await dead()
    const more = knowing(credentialFor(sandbox, { status: statusOf(key) }))
    expect(await findingsOf(factsOf({ key, baseUrl, more }))).toMatchObject([
      {
        code: 'key_revoked',
        seen: expect.stringContaining(`It last proved good at ${verifiedAt}.`),
        fix: 'keyturn rotate payments --emergency',
        place: keyPlace,
      },
    ])
  })

  it('T08: has expired, where that is known from the service or from the store', async () => {
    const { sandbox, key, baseUrl } = await dead()
    const expiresAt = '2026-11-21T00:00:00.000Z'
    const stored = { kind: 'found', secret: new Secret(key), expiresAt: Date.parse(expiresAt) } as const
    for (const credential of [
      credentialFor(sandbox, { status: statusOf(key, { expiresAt }) }),
      credentialFor(sandbox, { stored }),
    ])
      expect(await findingsOf(factsOf({ key, baseUrl, more: knowing(credential) }))).toMatchObject([
        {
          code: 'key_expired',
          seen: expect.stringContaining(`It expired at ${expiresAt}.`),
          fix: 'keyturn rotate payments',
        },
      ])
  })

  it('T05: is unknown as any other where another credential had it, or nobody', async () => {
    const { sandbox, key, baseUrl } = await dead()
    const other = credentialFor(sandbox, { status: statusOf('another-key') })
    expect(codesOf(await findingsOf(factsOf({ key, baseUrl, more: knowing(other) })))).toEqual([
      'key_unknown',
    ])
  })
})

describe('T35: a good key of somebody else', () => {
  it('is foreign to what the configuration or the service expects, and that is told', async () => {
    const sandbox = await openSandbox()
    const key = sandbox.createServiceAccountKey({
      project: sandbox.other.project,
      serviceAccount: sandbox.other.serviceAccount,
    }).value
    const { organization, project } = sandbox
    for (const credential of [
      credentialFor(sandbox, { expectation: { organization, project } }),
      credentialFor(sandbox, { status: statusOf('another-key', { organization, project }) }),
    ]) {
      const findings = await findingsOf(factsOf({ key, baseUrl: sandbox.baseUrl, more: knowing(credential) }))
      expect(findings).toMatchObject([{ code: 'key_foreign', place: keyPlace }])
      expect(findings[0]?.seen).toBe(
        `The key answers for ${sandbox.other.organization} and ${sandbox.other.project}; the credential payments expects ${organization} and ${project}.`,
      )
    }
  })

  it('is silent for a key that is where it belongs', async () => {
    const sandbox = await openSandbox()
    const key = sandbox.createServiceAccountKey().value
    const { organization, project } = sandbox
    const credential = credentialFor(sandbox, {
      expectation: { organization, project },
      status: statusOf(key),
    })
    expect(await findingsOf(factsOf({ key, baseUrl: sandbox.baseUrl, more: knowing(credential) }))).toEqual(
      [],
    )
  })
})
