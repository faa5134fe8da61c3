import { describe, expect, it } from 'vitest'
import { createOpenAIIssuer, type OpenAIIssuerOptions } from '../../src/issuers/openai.ts'
import { issuerContext, mintingIssuer, sandbox } from './support.ts'

const second = { standbyServiceAccountName: 'keyturn second' }

async function place(): Promise<{
  readonly here: Awaited<ReturnType<typeof sandbox>>
  readonly first: string
  readonly spare: string
}> {
  const here = await sandbox()
  const account = await fetch(`${here.baseUrl}/organization/projects/${here.project}/service_accounts`, {
    method: 'POST',
    headers: { authorization: `Bearer ${here.adminKey()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: second.standbyServiceAccountName }),
  })
  const { id } = (await account.json()) as { readonly id: string }
  return { here, first: here.serviceAccount, spare: id }
}

describe('a spare at OpenAI', () => {
  it('is minted on the account that the key is not on which it stands behind', async () => {
    const { here, first, spare } = await place()
    for (const named of [
      second,
      { standbyServiceAccountId: spare },
    ] satisfies Partial<OpenAIIssuerOptions>[]) {
      const issuer = mintingIssuer(here, named)
      const accountOf = async (serviceAccount: string | undefined): Promise<string | undefined> => {
        const outcome = await issuer.mint({ marker: 'keyturn-1', spareFor: { serviceAccount } })
        return outcome.kind === 'minted' ? outcome.serviceAccount : undefined
      }
      expect(await accountOf(first)).toBe(spare)
      expect(await accountOf(undefined)).toBe(spare)
      expect(await accountOf(spare)).toBe(first)
      const normal = await issuer.mint({ marker: 'keyturn-2' })
      expect(normal).toMatchObject({ kind: 'minted', serviceAccount: first })
    }
  })

  it('has an account of its own in the mode of an account per key', async () => {
    const { here, first } = await place()
    const issuer = mintingIssuer(here, { mode: 'new_service_account' })
    const outcome = await issuer.mint({ marker: 'keyturn-3', spareFor: { serviceAccount: first } })
    expect(outcome.kind).toBe('minted')
    expect(outcome.kind === 'minted' && outcome.serviceAccount !== first).toBe(true)
  })

  it('is in one list with all other keys', async () => {
    const { here, spare } = await place()
    const issuer = mintingIssuer(here, second)
    await issuer.mint({ marker: 'keyturn-4', spareFor: { serviceAccount: undefined } })
    const listed = await issuer.list()
    const keys = listed.kind === 'listed' ? listed.keys : []
    expect(keys.find((one) => one.name === 'keyturn-4')?.serviceAccount).toBe(spare)
  })

  it('is looked for an account before anything is minted, and no rotation is held up by it', async () => {
    const { here } = await place()
    const missing = async (
      change: Partial<OpenAIIssuerOptions>,
      forSpare = true,
    ): Promise<readonly string[]> => {
      const findings = await mintingIssuer(here, change).check({ forSpare })
      return findings.filter((one) => one.state === 'missing').map(({ fix = '' }) => fix)
    }
    expect(await missing(second)).toEqual([])
    expect(await missing({}, false)).toEqual([])
    expect(await missing({})).toEqual([expect.stringContaining('standbyServiceAccount')])
    expect(await missing({ standbyServiceAccountName: 'nobody' })).toEqual([
      expect.stringContaining('Create a service account of this name'),
    ])
    expect(await missing({ standbyServiceAccountName: 'nobody' }, false)).toEqual([])
    expect(await missing({ standbyServiceAccountId: here.serviceAccount })).toEqual([
      expect.stringContaining('second service account'),
    ])
  })

  it('has a second account whose id is one', () => {
    const options = { adminKey: undefined, projectId: 'proj_1', standbyServiceAccountId: '../x' }
    const { adminKey: _none, ...rest } = options
    expect(() => createOpenAIIssuer(rest, issuerContext())).toThrow(/standbyServiceAccountId/)
  })
})
