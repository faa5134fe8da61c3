import { describe, expect, it } from 'vitest'
import { loadConfig } from '../src/config.ts'
import { openDashboard } from '../src/main/dashboard.ts'

const file = (text: string) =>
  loadConfig({
    env: { KEYTURN_CONFIG: '/etc/keyturn.yaml' },
    cwd: '/',
    readFile: () => `${text}\ncredentials: { openai: { store: { kind: local } } }\n`,
  })

const whole = [
  'dashboard:',
  '  sessionKey: { env: SESSION_KEY }',
  '  oidc:',
  '    issuer: https://login.example',
  '    clientId: keyturn',
  '    clientSecret: { file: client-secret }',
  '    address: https://keyturn.example',
  '    scopes: [groups]',
].join('\n')

const from = (env: Readonly<Record<string, string>>) => ({
  env,
  readText: async (path: string) => `what is in ${path}\n`,
})

describe('dashboard', () => {
  it('says nothing unless it is configured', async () => {
    const { dashboard } = file('')
    expect(dashboard).toBeUndefined()
    expect(await openDashboard(dashboard, from({}))).toEqual({})
  })

  it('names where secrets are, beside the file, and always asks for an ID token', () => {
    expect(file(whole).dashboard).toEqual({
      sessionKey: { env: 'SESSION_KEY' },
      oidc: {
        issuer: 'https://login.example',
        clientId: 'keyturn',
        clientSecret: { file: '/etc/client-secret' },
        address: 'https://keyturn.example',
        scopes: ['openid', 'groups'],
      },
    })
  })

  it('reads the session key at the start, and the secret of the client each time', async () => {
    const opened = await openDashboard(file(whole).dashboard, from({ SESSION_KEY: 'k'.repeat(32) }))
    expect(Buffer.from(opened.sessionSecret ?? []).toString()).toBe('k'.repeat(32))
    expect(await opened.oidc?.clientSecret()).toBe('what is in /etc/client-secret')
  })

  it.each([
    ['is not there', {}, 'not in the variable SESSION_KEY'],
    ['is short', { SESSION_KEY: 'k'.repeat(31) }, 'shorter than 32'],
  ])('refuses to start where the session key %s, and never shows it', async (_what, env, message) => {
    await expect(openDashboard(file(whole).dashboard, from(env))).rejects.toThrow(message)
  })

  it.each([
    ['http://login.example', 'issuer'],
    ['ftp://login.example', 'issuer'],
  ])('takes no issuer %s, to which secrets would go in the open', (issuer, key) => {
    expect(() => file(whole.replace('https://login.example', issuer))).toThrow(key)
  })
})
