import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { fingerprint } from '../../src/core/fingerprint.ts'
import { Secret } from '../../src/core/secret.ts'
import { comparePlaces, differences } from '../../src/doctor/compare/compare.ts'
import { parsePlace } from '../../src/doctor/compare/places.ts'
import type { Ran } from '../../src/doctor/compare/read-side.ts'
import type { Facts, KeyturnCredential } from '../../src/doctor/facts.ts'
import { createSystem } from '../../src/system.ts'
import { summaryOf, versionSummary } from '../cli/samples.ts'
import { emptyFacts } from './context.ts'
import { newKey } from './keys.ts'

const hash = createSystem()
const mine = new Secret(newKey())
const other = new Secret(newKey())
const place = { kind: 'variable', name: 'OPENAI_API_KEY' } as const
const facts: Facts = {
  ...emptyFacts,
  key: { place, text: mine },
  organization: { value: 'org-a', place },
  baseUrl: { value: ['https://user:pass', 'api.openai.com/v1'].join('@'), place },
}

async function compare(
  name: string,
  given: {
    readonly facts?: Facts
    readonly files?: Readonly<Record<string, string>>
    readonly run?: (program: string, args: readonly string[]) => Ran
  } = {},
) {
  const [comparison] = await comparePlaces([parsePlace(name)], {
    facts: given.facts ?? facts,
    hash,
    readFile: (path) => given.files?.[path],
    run: async (program, args) =>
      given.run?.(program, args) ?? { kind: 'failed', reason: 'not expected to run' },
    proven: { organization: null, project: null, models: [] },
  })
  if (comparison === undefined) throw new Error('no comparison')
  return { ...comparison, findings: differences([comparison]) }
}

const environment = (key: string, more = ''): string => `PATH=/bin\nOPENAI_API_KEY=${key}\n${more}`

describe('a place to compare with', () => {
  it.each([
    'docker:--help',
    'docker:a b',
    'docker:',
    'k8s:only',
    'k8s:a/b/c',
    'k8s:a/-x',
    'k8s:-n/x',
    'store:../x',
    'ssh:host',
    'web',
    '',
  ])('is not: %s', (name) => {
    expect(() => parsePlace(name)).toThrow(expect.objectContaining({ code: 'usage' }))
  })
})

describe('comparing', () => {
  it('a container: its programs are run as they are named, without a shell, and only fingerprints are kept', async () => {
    const ran: unknown[] = []
    const seen = await compare('docker:web', {
      run: (...args) => {
        ran.push(args)
        return { kind: 'ended', code: 0, out: environment(other.reveal(), 'OPENAI_ORG_ID=org-b\n'), err: '' }
      },
    })
    expect(ran).toEqual([['docker', ['exec', 'web', 'printenv']]])
    expect(seen).toMatchObject({
      isSame: false,
      here: { fingerprint: fingerprint(mine, hash), organization: 'org-a' },
      there: { fingerprint: fingerprint(other, hash), organization: 'org-b', kind: 'project' },
    })
    expect(seen.findings).toMatchObject([
      { code: 'key_differs', severity: 'warning', place: { name: 'docker:web' } },
    ])
    const text = JSON.stringify(seen)
    for (const key of [mine, other]) expect(text).not.toContain(key.reveal().slice(-20))
    expect(text).not.toContain('pass')
  })

  it('a deployment, in its namespace', async () => {
    const seen = await compare('k8s:shop/web', {
      run: (program, args) => {
        expect([program, ...args].join(' ')).toBe('kubectl exec --namespace shop deployment/web -- printenv')
        return { kind: 'ended', code: 0, out: environment(mine.reveal()), err: '' }
      },
    })
    expect([seen.isSame, seen.findings]).toEqual([true, []])
  })

  it('tells that a program is not there, or what it said last', async () => {
    const absent = await compare('docker:web', { run: () => ({ kind: 'failed', reason: 'there is none' }) })
    expect(absent).toMatchObject({
      isSame: null,
      there: null,
      problem: { message: 'docker could not look into docker:web: there is none' },
      findings: [],
    })
    const refused = await compare('k8s:a/b', {
      run: () => ({ kind: 'ended', code: 1, out: '', err: 'noise\nno such deployment\n' }),
    })
    expect(refused.problem?.message).toMatch(/it ended with 1: no such deployment$/)
  })

  it('a file of variables, and one without the key', async () => {
    const files = { '/x/.env': environment(mine.reveal()), '/x/none.env': 'OTHER=1\n' }
    expect((await compare('env-file:/x/.env', { files })).isSame).toBe(true)
    expect((await compare('env-file:/x/none.env', { files })).findings).toMatchObject([
      { code: 'key_differs', severity: 'error', seen: expect.stringMatching(/is here, no key in env-file/) },
    ])
    expect((await compare('env-file:/x/away.env', { files })).problem?.code).toBe('file_unusable')
  })

  it('the report of another machine, and something else in its place', async () => {
    const report = {
      schemaVersion: 1,
      key: { fingerprint: fingerprint(other, hash), kind: 'project' },
      organization: { value: 'org-b' },
      proven: { organization: 'org-c', project: null },
    }
    const files = { '/r.json': JSON.stringify(report), '/o.json': '{"schemaVersion":2}', '/n.json': 'no' }
    expect(await compare('json:/r.json', { files })).toMatchObject({
      isSame: false,
      there: { fingerprint: fingerprint(other, hash), organization: 'org-c', project: null },
    })
    for (const name of ['json:/o.json', 'json:/n.json'])
      expect((await compare(name, { files })).problem?.message).toBe('this is no report of keyturn doctor')
  })

  it('a credential, in its store and as the service has it, with the stage of each key', async () => {
    const current = { ...versionSummary, fingerprint: fingerprint(other, hash) }
    const previous = { ...versionSummary, stage: 'previous', fingerprint: fingerprint(mine, hash) }
    const credential: KeyturnCredential = {
      name: 'openai',
      store: 'vault',
      baseUrl: 'https://api.openai.com/v1',
      expectation: { project: 'proj_a' },
      canMint: true,
      stored: { kind: 'found', secret: other },
      permissions: [],
      status: summaryOf('openai', { current, versions: [current, previous] }),
    }
    const known = (one: KeyturnCredential): Facts => ({
      ...facts,
      keyturn: { isNamed: true, source: 'keyturn.yaml', problems: [], warnings: [], credentials: [one] },
    })
    for (const name of ['store:openai', 'service:openai']) {
      const seen = await compare(name, { facts: known(credential) })
      expect(seen).toMatchObject({ isSame: false, here: { stage: 'previous' }, there: { stage: 'current' } })
      expect(seen.findings[0]?.seen).toMatch(/\(previous\) is here, .*\(current\) in /)
    }
    const error = new KeyturnError('store_denied', 'not allowed', { fix: 'Grant read.' })
    const denied = known({ ...credential, stored: { kind: 'failed', error } })
    expect((await compare('store:openai', { facts: denied })).problem).toEqual({
      code: 'store_denied',
      message: 'not allowed',
      fix: 'Grant read.',
    })
    const { status: _status, ...unserved } = credential
    expect((await compare('service:openai', { facts: known(unserved) })).problem?.code).toBe(
      'service_unreachable',
    )
    expect((await compare('store:other', { facts: known(credential) })).problem?.fix).toBe(
      'There are: openai.',
    )
  })
})
