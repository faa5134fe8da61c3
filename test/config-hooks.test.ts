import { describe, expect, it } from 'vitest'
import { checkConfig, loadConfig } from '../src/config.ts'
import { hooksOf } from '../src/main/hooks.ts'

const surroundings = (text: string) => ({
  env: { KEYTURN_CONFIG: '/etc/keyturn.yaml' },
  cwd: '/',
  readFile: () => text,
})

const credentials = [
  'credentials:',
  '  one: { store: { kind: google-secret-manager, project: acme }, ref: openai }',
  '  two: { store: { kind: azure-key-vault, vault: "https://Acme.vault.azure.net" }, ref: OpenAI }',
  '  three: { store: { kind: local } }',
].join('\n')

const rule = [
  'access:',
  '  jwt:',
  '    - name: pubsub',
  '      issuer: https://accounts.google.com',
  '      audience: https://keyturn.example/v1/hooks/google-pubsub',
  "      claims: { email: push@acme.iam.gserviceaccount.com, email_verified: 'true' }",
  '      grants: [{ credentials: [one], may: [hook] }]',
].join('\n')

describe('hooks', () => {
  it('are off unless they are configured', () => {
    const config = loadConfig(surroundings(credentials))
    expect([config.hooks, hooksOf(config)]).toEqual([undefined, {}])
  })

  it('know the credentials whose keys are there, in the words of each cloud', () => {
    const on = 'hooks: { googlePubSub: true, azureEventGrid: true }'
    expect(hooksOf(loadConfig(surroundings([on, rule, credentials].join('\n'))))).toEqual({
      googlePubSub: [{ credential: 'one', place: 'acme', secret: 'openai' }],
      azureEventGrid: [{ credential: 'two', place: 'acme', secret: 'openai' }],
    })
  })

  it('warn where nobody may send, and are an error where there is no key in such a store', () => {
    const check = checkConfig(surroundings(['hooks: { azureEventGrid: true }', credentials].join('\n')))
    expect(check.kind === 'valid' && check.warnings?.map(({ path, message }) => [path, message])).toEqual([
      ['hooks.azureEventGrid', 'nobody has the grant hook, so whatever is sent is refused'],
    ])
    const lonely = 'hooks: { googlePubSub: true }\ncredentials: { three: { store: { kind: local } } }'
    expect(() => loadConfig(surroundings(lonely))).toThrow(
      'no credential has its key in a google-secret-manager store',
    )
  })
})
