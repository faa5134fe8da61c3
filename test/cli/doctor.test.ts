import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { DiagnoseOptions, Diagnosis } from '../../src/cli/io.ts'
import { run } from '../../src/cli/main.ts'
import { withoutColours } from '../../src/cli/text.ts'
import type { SupportBundle } from '../../src/doctor/bundle/bundle.ts'
import { findingKinds } from '../../src/doctor/catalogue.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { type DoctorReport, reportOf } from '../../src/doctor/report.ts'
import { createSystem } from '../../src/system.ts'
import { emptyFacts } from '../doctor/context.ts'
import { type FakeIoOptions, fakeIo } from './fake-io.ts'

const wrong: Finding = {
  code: 'key_placeholder',
  severity: 'error',
  seen: 'OPENAI_API_KEY holds a placeholder of 8 characters',
  cause: 'The template was copied and never filled in.',
  fix: 'read -rs OPENAI_API_KEY && export OPENAI_API_KEY',
  place: { kind: 'file', path: '.env', line: 3 },
}
const late: Finding = { ...wrong, code: 'rotation_overdue', severity: 'warning' }
const away: Finding = {
  ...wrong,
  code: 'dns_failed',
  place: { kind: 'address', url: 'https://api.openai.com' },
}

function reportWith(findings: readonly Finding[], over: Partial<DoctorReport> = {}): DoctorReport {
  const examination = { findings, facts: emptyFacts, broken: [], tookMs: 412 }
  const about = {
    hash: createSystem(),
    version: '9.9.9',
    at: Date.UTC(2026, 10, 3),
    folder: '/srv/app',
    isOffline: false,
    steps: [],
    proven: { organization: null, project: null, models: [] },
    comparisons: [],
  }
  return { ...reportOf(examination, about), ...over }
}

const bundle: SupportBundle = {
  kind: 'keyturn-support-bundle',
  schemaVersion: 1,
  versions: {},
  variables: [],
  proxies: {},
  calls: [],
  credentials: [],
  report: reportWith([]),
}

/** What a stranger's repository may name a file so that a runner obeys the log. */
const forged = [
  '##[error]forged',
  '##vso[task.setvariable variable=a]b',
  '::error::forged',
  'x\n::stop-commands::abc',
  'x\r::add-mask::a',
  '\u001b[31m::error::forged',
]

async function doctor(line: string, report: DoctorReport, options: FakeIoOptions = {}) {
  const asked: DiagnoseOptions[] = []
  const diagnose = async (one: DiagnoseOptions): Promise<Diagnosis> => {
    asked.push(one)
    one.onStep({ name: 'dns', about: 'api.openai.com', state: 'running' })
    return { report, bundle: () => bundle }
  }
  const io = fakeIo({ ...options, main: { diagnose } })
  const code = await run(['doctor', ...line.split(' ').filter((word) => word !== '')], io)
  return { code, out: io.out(), err: io.err(), asked: asked[0], io }
}

describe('keyturn doctor', () => {
  it('prints one line where all is well, and ends with 0', async () => {
    const key = { fingerprint: '0123456789ab', kind: 'project', at: 'OPENAI_API_KEY' } as const
    const place = { kind: 'variable', name: 'OPENAI_API_KEY' } as const
    const { code, out, err } = await doctor(
      '',
      reportWith([], {
        key: { ...key, place },
        proven: { organization: 'org-a', project: 'proj_a', models: ['gpt-5'] },
      }),
    )
    expect(out).toBe(
      'healthy, key 0123456789ab (project key) from OPENAI_API_KEY, organization org-a, project proj_a, gpt-5 proven, 0.4 s\n',
    )
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })

  it('tells of each finding where it is, what was seen, why, and what to do', async () => {
    const { code, out } = await doctor('', reportWith([wrong]))
    expect(out).toBe(
      [
        'error key_placeholder: a placeholder in place of the key',
        '  where .env:3',
        '  seen  OPENAI_API_KEY holds a placeholder of 8 characters',
        '  cause The template was copied and never filled in.',
        '  fix   read -rs OPENAI_API_KEY && export OPENAI_API_KEY',
        '',
        '1 error, 0.4 s, more about one: keyturn doctor --explain key_placeholder',
        '',
      ].join('\n'),
    )
    expect(code).toBe(3)
  })

  it.each([
    ['a warning is no failure', '', [late], 0],
    ['but with --strict', '--strict', [late], 3],
    ['only the network is away', '', [away], 1],
    ['the network is away, and something else is wrong', '', [away, wrong], 3],
    ['the network is away, and something is late', '', [away, late], 1],
  ] as const)('%s', async (_name, line, findings, code) => {
    expect((await doctor(line, reportWith(findings))).code).toBe(code)
  })

  it('does not take a check that broke for health', async () => {
    const report = reportWith([], { broken: [{ check: 'dotenv', code: 'internal' }] })
    const { code, out } = await doctor('', report)
    expect(code).toBe(1)
    expect(out).toContain('the check dotenv broke (internal)')
  })

  it('prints the report as JSON', async () => {
    const report = reportWith([wrong])
    const { code, out } = await doctor('--json', report)
    expect(JSON.parse(out)).toEqual(report)
    expect(code).toBe(3)
  })

  it('looks where it is told, and as it is told', async () => {
    const { asked } = await doctor('api --offline --billable --model gpt-5 --timeout 5s', reportWith([]))
    expect(asked).toMatchObject({
      folder: '/srv/app/api',
      options: { isOffline: true, isBillable: true, model: 'gpt-5', stepTimeoutMs: 5_000 },
    })
  })

  it.each(['--timeout 5', '--timeout 1ms', '--timeout 2m'])('refuses %s', async (line) => {
    const { code, err } = await doctor(line, reportWith([]))
    expect(code).toBe(2)
    expect(err).toContain('from 100ms to 60s')
  })

  it('reads a key that is nowhere yet from standard input or a file, with all that clings to it', async () => {
    const piped = await doctor('--key-file -', reportWith([]), { stdin: ' "key"\n' })
    expect(piped.asked?.key?.reveal()).toBe(' "key"')
    const filed = await doctor('--key-file k', reportWith([]), { files: { '/srv/app/k': 'key\r\n' } })
    expect(filed.asked?.key?.reveal()).toBe('key')
    expect((await doctor('--key-file other', reportWith([]))).code).toBe(2)
    expect((await doctor('--key-file -', reportWith([]), { stdin: 'k'.repeat(5_000) })).code).toBe(2)
    const nothing = await doctor('--key-file -', reportWith([]), { stdin: '\n' })
    expect([nothing.code, nothing.err]).toEqual([
      2,
      expect.stringContaining('nothing came on standard input'),
    ])
  })

  it('draws its steps where a person looks, and takes them away at the end', async () => {
    const live = await doctor('', reportWith([]), { isTerminal: true })
    expect(live.err).toMatch(/>\S* *dns +api\.openai\.com/)
    expect(live.err.endsWith('\u001b[1A\u001b[0J')).toBe(true)
  })

  it('says once what a fingerprint is, however many places stand beside the key', async () => {
    const side = {
      fingerprint: '0123456789ab',
      kind: 'project',
      stage: null,
      organization: null,
      project: null,
      baseUrl: null,
    } as const
    const beside = (place: string) => ({ place, here: side, there: side, isSame: true, problem: null })
    const comparisons = [beside('service:openai'), beside('store:openai')]
    const { out } = await doctor('', reportWith([], { comparisons }))
    expect(out.match(/A fingerprint is the beginning of a hash/g)).toHaveLength(1)
    expect(out).toMatch(/way back to the key\.\n\nhealthy/)
  })

  it('prints SARIF, and not two documents at once', async () => {
    const { out, code } = await doctor('--sarif', reportWith([wrong]))
    expect(JSON.parse(out)).toMatchObject({
      version: '2.1.0',
      runs: [{ results: [{ ruleId: 'key_placeholder' }] }],
    })
    expect(code).toBe(3)
    expect((await doctor('--sarif --json', reportWith([]))).code).toBe(2)
  })

  it('annotates a run of GitHub beside its result, and writes its summary after what is there', async () => {
    const summary = '/tmp/summary.md'
    const env = { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary, GITHUB_WORKSPACE: '/srv' }
    const files = { [summary]: 'before\n' }
    const { out, err, io } = await doctor('--json', reportWith([wrong]), { env, files })
    expect(JSON.parse(out)).toMatchObject({ isHealthy: false })
    // From the top of the repository, not from the folder that was looked at.
    expect(err).toMatch(/^::error file=app\/\.env,line=3,title=key_placeholder/)
    expect(io.files.get(summary)).toMatch(/^before\n### keyturn doctor\n/)
  })

  it('with --ci it draws nothing, annotates anywhere, and looks at stores as well', async () => {
    const { err, asked } = await doctor('--ci', reportWith([wrong]), { isTerminal: true })
    expect(err).toMatch(/^::error file=\.env/)
    expect(asked?.options.isThorough).toBe(true)
  })

  it('writes a bundle beside the result, and never over a file', async () => {
    const { out, err, code, io } = await doctor('--bundle b.json --json', reportWith([]))
    expect(JSON.parse(io.files.get('/srv/app/b.json') ?? '')).toEqual(bundle)
    expect(JSON.parse(out)).toMatchObject({ isHealthy: true })
    expect({ code, isTold: err.includes('/srv/app/b.json is for support') }).toEqual({
      code: 0,
      isTold: true,
    })
    const again = await doctor('--bundle b.json', reportWith([]), { files: { '/srv/app/b.json': 'mine' } })
    expect(again.io.files.get('/srv/app/b.json')).toBe('mine')
    expect({ code: again.code, asked: again.asked }).toEqual({ code: 1, asked: undefined })
  })

  it('explains a code, and guesses at one that there is not', async () => {
    const { out, code } = await doctor('--explain key_placeholder', reportWith([]))
    expect(out).toMatch(/^### `key_placeholder`\n[\s\S]*What to do/)
    expect(code).toBe(0)
    const { err, code: wrongUsage } = await doctor('--explain key_placehoder', reportWith([]))
    expect(err).toContain('Did you mean key_placeholder?')
    expect(wrongUsage).toBe(2)
  })
})

describe('docs/troubleshooting.md', () => {
  const page = readFileSync(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8')
  const headings = [...page.matchAll(/^### `([a-z_]+)`\n\n(.*)$/gm)]

  it('has a section for each kind of finding, and no other', () => {
    const codes = headings.map(([, code = '']) => code)
    expect(new Set(codes)).toEqual(new Set(Object.keys(findingKinds)))
    expect(codes).toHaveLength(new Set(codes).size)
  })

  it.each(Object.entries(findingKinds))(
    'says of %s what the catalogue says',
    (code, { row, severity, title }) => {
      const line = headings.find(([, heading]) => heading === code)?.[2]
      expect(line).toBe(`${title.charAt(0).toUpperCase()}${title.slice(1)}. (${row}, ${severity})`)
    },
  )
})

describe('names of a stranger in the log of a pipeline', () => {
  it.each(forged)('are no commands to its runner: %j', async (name) => {
    const place = { kind: 'file', path: name, line: 1 } as const
    const long = `${'a'.repeat(80)} ${name} ${'b'.repeat(80)} ${name}`
    const report = reportWith([{ ...wrong, seen: long, cause: name, fix: `x\n${name}`, place }])
    for (const form of ['', ' --json', ' --sarif', ' --ci']) {
      const { out, err } = await doctor(`doctor${form}`, report, {
        env: { GITHUB_ACTIONS: 'true', FORCE_COLOR: '1' },
      })
      const lines = `${out}\n${err}`.split(/[\r\n]/)
      // A runner takes off what is blank before it looks.
      const obeyed = lines.filter((line) => /^\s*::/.test(withoutColours(line)))
      expect(obeyed.map((line) => line.slice(0, 28))).toEqual(['::error file=' + obeyed[0]?.slice(13, 28)])
      expect(lines.filter((line) => !obeyed.includes(line) && /##\w*\[/.test(line))).toEqual([])
      if (form === ' --json') expect((JSON.parse(out) as DoctorReport).findings[0]?.seen).toBe(long)
    }
  })
})
