import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/cli/command.ts'
import { openSupply } from '../../../src/cli/supply.ts'
import { fakeIo } from '../fake-io.ts'

const path = '/srv/app/keyturn.yaml'

/** What `keyturn exec` makes of this file in its folder, before it asks for a key. */
async function withFile(
  credential: string,
  options: { readonly env?: Readonly<Record<string, string>>; readonly isInProcess?: boolean } = {},
): Promise<string> {
  const io = fakeIo({
    files: { [path]: `credentials: { openai: ${credential} }\n` },
    env: { OPENAI_API_KEY: 'not shown to anybody here', ...options.env },
  })
  const given = { text: () => undefined, has: (name: string) => name === 'inProcess' && options.isInProcess }
  const context = { io, options: given } as unknown as Context
  const supply = await openSupply(context, { kind: 'exec', mark: '7', onTrouble: () => undefined })
  supply.client.close()
  return supply.where
}

const ours = '{ store: { kind: env }, issuer: { kind: manual, baseUrl: BASE } }'
const module = "{ store: { kind: module, path: ./theirs.mjs }, ref: 'a' }"
const elsewhere = ours.replace('BASE', "'https://openai.com.evil.example/v1'")

describe('a configuration that was merely found in the folder', () => {
  it.each([
    ['a module to run', module, 'a store of the kind module'],
    [
      'a store that is shown a token',
      "{ store: { kind: vault, address: 'https://vault.evil.example', auth: { kind: token } }, ref: a }",
      'a store of the kind vault',
    ],
    ['a base URL of a stranger', elsewhere, 'openai.com.evil.example'],
    ['one that ends like ours', ours.replace('BASE', "'https://evilopenai.com/v1'"), 'evilopenai.com'],
  ])('is not used, and nothing of it asked or run, where it has %s', async (_what, credential, reach) => {
    await expect(withFile(credential)).rejects.toMatchObject({
      code: 'usage',
      message: `${path} was merely found, and has openai go to ${reach}`,
      fix: expect.stringContaining(`KEYTURN_CONFIG='${path}'`),
    })
  })

  it.each([
    ['OpenAI', "'https://api.openai.com/v1'"],
    ['a region of OpenAI', "'https://eu.api.openai.com/v1'"],
    ['this machine', "'http://127.0.0.1:7421/v1'"],
  ])('is used where its key goes to %s', async (_where, url) => {
    expect(await withFile(ours.replace('BASE', url))).toBe('this process')
  })

  it.each([
    ['asks for no service', { isInProcess: true }],
    ['names it', { env: { KEYTURN_CONFIG: path } }],
    ['names the folder that it is in', { env: { KEYTURN_HOME: '/srv/app' } }],
  ])('is used whatever it says where the user %s', async (_what, options) => {
    expect(await withFile(elsewhere, options)).toBe('this process')
    expect(await withFile(module, options)).toBe('this process')
  })

  it("counts for nothing where there is none: the environment is the user's", async () => {
    const io = fakeIo({ env: { OPENAI_API_KEY: 'a', OPENAI_BASE_URL: 'https://gateway.example/v1' } })
    const context = { io, options: { text: () => undefined, has: () => false } } as unknown as Context
    const supply = await openSupply(context, { kind: 'exec', mark: '7', onTrouble: () => undefined })
    supply.client.close()
    expect(supply.where).toBe('this process')
  })
})
