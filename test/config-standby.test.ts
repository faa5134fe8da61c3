import { describe, expect, it } from 'vitest'
import { checkConfig } from '../src/config.ts'

function check(lines: readonly string[]): ReturnType<typeof checkConfig> {
  const text = ['credentials:', '  openai:', ...lines.map((line) => `    ${line}`), ''].join('\n')
  return checkConfig({
    env: {},
    cwd: '/srv/app',
    readFile: (path) => (path.endsWith('.yaml') ? text : undefined),
  })
}

function problemsOf(
  lines: readonly string[],
): readonly { readonly path: string; readonly message: string }[] {
  const found = check(lines)
  return found.kind === 'invalid' ? found.problems : []
}

const openai = (more = ''): string =>
  `issuer: { kind: openai, project: proj_abc, serviceAccount: svc_acct_a${more} }`
const standby = 'policy: { standby: true, standbyMaxAge: 30d }'
const local = 'store: { kind: local }'

describe('a spare in the configuration', () => {
  it('names the second service account by its id or its name, and how old it may get', () => {
    for (const [key, value] of [
      ['standbyServiceAccount', 'standbyServiceAccountId'],
      ['standbyServiceAccountName', 'standbyServiceAccountName'],
    ] as const) {
      const found = check([local, openai(`, ${key}: svc_acct_b`), standby])
      const [credential] = found.kind === 'valid' ? found.config.credentials : []
      expect(credential?.issuer).toMatchObject({ [value]: 'svc_acct_b' })
      expect(credential?.policy).toMatchObject({ standby: true, standbyMaxAgeMs: 30 * 86_400_000 })
    }
  })

  it('needs no second account where each key has its own', () => {
    const own = 'issuer: { kind: openai, project: proj_abc, mode: new_service_account }'
    expect(check([local, own, standby]).kind).toBe('valid')
  })

  it('is refused, with the fix, where it could not be made, be kept or outlive the current key', () => {
    const path = 'credentials.openai.policy.standby'
    expect(problemsOf([local, 'issuer: { kind: manual }', standby])).toMatchObject([
      { path, message: 'a spare key can only be made by an issuer that mints' },
    ])
    const second = openai(', standbyServiceAccount: svc_acct_b')
    expect(problemsOf(['store: { kind: env }', second, standby])).toMatchObject([
      { path, message: 'a spare key cannot be kept in the env store, which is only read' },
    ])
    expect(problemsOf([local, openai(), standby])).toMatchObject([
      {
        path: 'credentials.openai.issuer',
        message: "standby: true needs an issuer with a 'standbyServiceAccount'",
        fix: expect.stringContaining('standbyServiceAccount: svc_acct_'),
      },
    ])
    expect(problemsOf([local, openai(', standbyServiceAccount: svc_acct_a'), standby])).toMatchObject([
      { message: 'the service account for spares is the one of all other keys' },
    ])
  })

  it('says nothing of spares where none is wanted, or the issuer is not known', () => {
    expect(check([local, openai()]).kind).toBe('valid')
    expect(problemsOf([local, 'issuer: elsewhere', standby])).toMatchObject([
      { message: 'no such name under issuers' },
    ])
  })
})
