import { describe, expect, it } from 'vitest'
import { checkConfig, loadConfig } from '../src/config/load.ts'
import type { Config } from '../src/config/types.ts'

function check(access: string, files: Readonly<Record<string, string>> = {}, more = '') {
  const text = `credentials:
  openai: { store: { kind: local } }
  team-a: { store: { kind: local } }
${more}${access}`
  return checkConfig({
    env: {},
    cwd: '/srv',
    readFile: (path) => (path === '/srv/keyturn.yaml' ? text : files[path]),
  })
}

function configOf(access: string, files?: Readonly<Record<string, string>>, more?: string): Config {
  const found = check(access, files, more)
  if (found.kind !== 'valid') throw new Error(JSON.stringify(found))
  return found.config
}

function problemsOf(access: string, files?: Readonly<Record<string, string>>, more?: string): string[] {
  const found = check(access, files, more)
  if (found.kind !== 'invalid') throw new Error(`it is ${found.kind}`)
  return found.problems.map(({ line, path, message }) => `${line} ${path}: ${message}`)
}

function warningsOf(access: string, files?: Readonly<Record<string, string>>): string[] {
  const found = check(access, files)
  if (found.kind !== 'valid') throw new Error(JSON.stringify(found))
  return (found.warnings ?? []).map(({ path, message }) => `${path}: ${message}`)
}

const cluster = `
    - name: cluster
      issuer: https://oidc.example/id/1
      audience: keyturn
      claims: { sub: 'system:serviceaccount:team-a:*' }
      grants: [{ credentials: ['team-*'], may: [read] }]`

describe('access', () => {
  it('is read with its defaults', () => {
    const config = configOf(`access:
  jwt:${cluster}
  certificates: [{ uri: 'spiffe://acme/*', grants: [{ credentials: [openai], may: [read, audit] }] }]
  socket: { grants: [{ may: [metrics] }] }
  approvals: [{ emergency: 2 }]
tls: { cert: tls/cert.pem, key: /etc/key.pem, clientCa: ca.pem }
socket: { mode: '0660', group: apps }
`)
    expect(config.access?.rules.jwt).toEqual([
      {
        name: 'cluster',
        issuer: 'https://oidc.example/id/1',
        audience: ['keyturn'],
        algorithms: ['RS256', 'ES256'],
        claims: [{ claim: 'sub', patterns: ['system:serviceaccount:team-a:*'] }],
        nameClaim: 'sub',
        lifetimeMaxMs: 86_400_000,
        grants: [{ credentials: ['team-*'], may: ['read'] }],
      },
    ])
    expect(config.access?.rules.certificates[0]).toMatchObject({ field: 'uri', pattern: 'spiffe://acme/*' })
    expect(config.access?.rules.socket).toEqual([{ credentials: ['*'], may: ['metrics'] }])
    expect(config.access?.rules.approvals).toEqual([{ credentials: ['*'], emergency: 2, revocation: 1 }])
    expect(config.tls).toEqual({
      cert: '/srv/tls/cert.pem',
      key: '/etc/key.pem',
      clientCa: '/srv/ca.pem',
      clientCertificates: 'optional',
      minVersion: 'TLSv1.2',
    })
    expect(config.socket).toEqual({ mode: 0o660, group: 'apps' })
  })

  it('lets the service listen beyond this machine where it speaks TLS', () => {
    const tls = 'tls: { cert: a, key: b }\n'
    expect(configOf('', {}, `listen: 0.0.0.0:7420\n${tls}`).tls).toBeDefined()
    expect(problemsOf('', {}, 'listen: 0.0.0.0:7420\n').join()).toContain('unencrypted')
    expect(problemsOf('', {}, `listen: unix:a.sock\n${tls}`).join()).toContain('no TLS')
  })

  it.each([
    [
      'a name that is not configured',
      'tokens: [{ name: x, grants: [{ credentials: [opnai], may: [read] }] }]',
      /opnai/,
    ],
    [
      'no credentials to read',
      'tokens: [{ name: x, grants: [{ may: [read] }] }]',
      /'credentials' is missing/,
    ],
    ['a grant that is none', 'tokens: [{ name: x, grants: [{ may: [root] }] }]', /read, operate/],
    [
      'a symmetric algorithm',
      "jwt: [{ name: x, issuer: 'https://a.example', audience: k, algorithms: [HS256], claims: { sub: ab }, grants: [] }]",
      /RS256/,
    ],
    [
      'no algorithm',
      "jwt: [{ name: x, issuer: 'https://a.example', audience: k, algorithms: [none], claims: { sub: ab }, grants: [] }]",
      /RS256/,
    ],
    [
      'an issuer in the clear',
      "jwt: [{ name: x, issuer: 'http://a.example', audience: k, claims: { sub: ab }, grants: [] }]",
      /https/,
    ],
    [
      'no audience',
      "jwt: [{ name: x, issuer: 'https://a.example', claims: { sub: ab }, grants: [] }]",
      /audience/,
    ],
    [
      'two names of a certificate',
      'certificates: [{ uri: a, dns: b, grants: [] }]',
      /one of uri, dns and cn/,
    ],
    ['a certificate of any name', "certificates: [{ dns: '*', grants: [] }]", /fits every name/],
    ['three persons', 'approvals: [{ emergency: 3 }]', /1 to 2/],
    [
      'everybody at GitHub',
      "jwt: [{ name: x, issuer: 'https://token.actions.githubusercontent.com', audience: k, claims: { ref: refs/heads/main }, grants: [] }]",
      /for everybody/,
    ],
    [
      'everybody at GitHub by a star',
      "jwt: [{ name: x, issuer: 'https://token.actions.githubusercontent.com', audience: k, claims: { repository: '*/app' }, grants: [] }]",
      /for everybody/,
    ],
    [
      'everybody at GitHub by a star behind a word that all have',
      "jwt: [{ name: x, issuer: 'https://token.actions.githubusercontent.com', audience: k, claims: { sub: 'repo:*/app:ref:refs/heads/main' }, grants: [] }]",
      /for everybody/,
    ],
    [
      'everybody at another that makes tokens for everybody',
      "jwt: [{ name: x, issuer: 'https://app.terraform.io', audience: k, claims: { terraform_run_phase: apply }, grants: [] }]",
      /for everybody/,
    ],
  ])('refuses %s', (_what, rule, says) => {
    expect(problemsOf(`access:\n  ${rule}\n`).join('\n')).toMatch(says)
  })

  it('warns of what is hardly meant', () => {
    expect(
      warningsOf(`access:\n  tokens: [{ name: x, grants: [{ credentials: ['prod-*'], may: [read] }] }]\n`),
    ).toEqual(["access.tokens[0].grants[0].credentials[0]: no credential fits 'prod-*'"])
    expect(warningsOf(`access:\n  jwt:${cluster}${cluster}\n`).join()).toContain('never reached: entry 1')
    expect(
      warningsOf(
        "access:\n  jwt: [{ name: x, issuer: 'https://a.example', audience: k, grants: [] }]\n",
      ).join(),
    ).toContain('every token of this issuer')
    expect(warningsOf(`access:\n  jwt:${cluster}\n`)).toEqual([])
  })

  it('warns of rules that nobody can come by, in the policy file too', () => {
    const rule = '[{ cn: web, grants: [{ credentials: [openai], may: [read] }] }]'
    const socket = '{ grants: [{ credentials: [openai], may: [read] }] }'
    expect(warningsOf(`access: { certificates: ${rule}, socket: ${socket} }\n`)).toEqual([
      'access.certificates: no rule for certificates is ever reached: nobody is asked for one',
      'access.socket: nobody ever has these grants: Keyturn does not listen on a Unix socket',
    ])
    const files = { '/srv/policy.yaml': `certificates: ${rule}\nsocket: ${socket}\n` }
    expect(warningsOf('access: { file: policy.yaml }\n', files)).toHaveLength(2)
    expect(warningsOf('listen: unix:k.sock\naccess: { file: policy.yaml }\n', files)).toHaveLength(1)
    expect(warningsOf(`tls: { cert: a, key: b, clientCa: c }\naccess: { certificates: ${rule} }\n`)).toEqual(
      [],
    )
  })

  it('warns whoever starts with it, too', () => {
    const told: string[] = []
    const text = `access: { socket: { grants: [] } }\ncredentials: { openai: { store: { kind: local } } }\n`
    const rule = text.replace('[]', '[{ credentials: [openai], may: [read] }]')
    const sources = {
      env: {},
      cwd: '/srv',
      readFile: (path: string) => (path.endsWith('yaml') ? rule : undefined),
    }
    loadConfig(sources, (warning) => told.push(warning))
    expect(told).toEqual([expect.stringMatching(/^\/srv\/keyturn.yaml:1:\d+: access.socket: nobody ever/)])
  })

  it('looks into the file that it names, and tells where in it', () => {
    const access = 'access: { file: policy.yaml }\n'
    expect(problemsOf(access).join()).toContain('no policy file /srv/policy.yaml')
    const wrong = 'tokens:\n  - name: ci\n    grants: [{ credentials: [opnai], may: [read] }]\n'
    expect(problemsOf(access, { '/srv/policy.yaml': wrong }).join()).toMatch(
      /policy\.yaml:3:\d+: tokens\[0\].*opnai/,
    )
    expect(problemsOf(access, { '/srv/policy.yaml': 'files: x\n' }).join()).toContain("'files' is not known")
    const misspelt = check(access, { '/srv/policy.yaml': 'jtw: []\n' })
    expect(misspelt).toMatchObject({ kind: 'invalid', problems: [{ fix: "Did you mean 'jwt'?" }] })
    expect(configOf(access, { '/srv/policy.yaml': wrong.replace('opnai', 'openai') }).access?.file).toBe(
      '/srv/policy.yaml',
    )
  })
})
