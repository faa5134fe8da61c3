import { describe, expect, it } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { findingKinds } from '../../src/doctor/catalogue.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { annotationsOf, jobSummaryOf } from '../../src/doctor/github.ts'
import { type DoctorReport, reportOf } from '../../src/doctor/report.ts'
import { sarifOf } from '../../src/doctor/sarif.ts'
import { createSystem } from '../../src/system.ts'
import { emptyFacts } from './context.ts'
import { newKey } from './keys.ts'
import { sarifProblems } from './sarif-schema.ts'

const system = createSystem()
const inFile: Finding = {
  code: 'key_in_source',
  severity: 'error',
  seen: 'a key in a literal',
  cause: 'It was hardcoded, at 100%.',
  fix: 'keyturn rotate NAME\nkeyturn status',
  place: { kind: 'file', path: 'src/a b,c.ts', line: 7, column: 3, name: 'KEY' },
  fingerprint: '0123456789ab',
}
const ofVariable: Finding = {
  ...inFile,
  code: 'rotation_overdue',
  severity: 'warning',
  place: { kind: 'variable', name: 'OPENAI_API_KEY' },
  requestId: 'req_1',
}

function report(findings: readonly Finding[], broken: DoctorReport['broken'] = []): DoctorReport {
  return reportOf(
    { findings, facts: emptyFacts, broken, tookMs: 1 },
    {
      hash: system,
      version: '1.2.3',
      at: 0,
      folder: '/srv/app',
      isOffline: false,
      steps: [],
      proven: { organization: null, project: null, models: [] },
      comparisons: [],
    },
  )
}

describe('SARIF', () => {
  const sarif = (findings: readonly Finding[], broken: DoctorReport['broken'] = []) => {
    const log = sarifOf(report(findings, broken), { hash: system, explain: (code) => `about ${code}` })
    return JSON.parse(JSON.stringify(log)) as {
      version: string
      runs: {
        tool: { driver: { rules: { id: string; helpUri: string; help: { markdown: string } }[] } }
        invocations: { executionSuccessful: boolean }[]
        results: {
          ruleId: string
          ruleIndex: number
          level: string
          message: { text: string }
          locations: unknown[]
          partialFingerprints: Record<string, string>
        }[]
      }[]
    }
  }

  it('has a rule for each kind of finding, with its explanation', () => {
    const rules = sarif([]).runs[0]?.tool.driver.rules ?? []
    expect(rules.map(({ id }) => id)).toEqual(Object.keys(findingKinds))
    for (const { id, helpUri, help } of rules) {
      expect(URL.canParse(helpUri)).toBe(true)
      expect(help.markdown).toBe(`about ${id}`)
    }
  })

  it('has a result for each finding, that its rule and its file can be found from', () => {
    const { runs, version } = sarif([inFile, ofVariable])
    expect(version).toBe('2.1.0')
    const [run] = runs
    expect(run?.results).toMatchObject([
      {
        level: 'error',
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: 'src/a%20b%2Cc.ts', uriBaseId: 'SRCROOT' },
              region: { startLine: 7, startColumn: 3 },
            },
          },
        ],
      },
      { level: 'warning', locations: [{ logicalLocations: [{ fullyQualifiedName: 'OPENAI_API_KEY' }] }] },
    ])
    for (const { ruleId, ruleIndex } of run?.results ?? [])
      expect(run?.tool.driver.rules[ruleIndex]?.id).toBe(ruleId)
    expect(run?.invocations[0]?.executionSuccessful).toBe(true)
  })

  it('knows a finding again after lines were added above it, and tells two apart', () => {
    const prints = (findings: readonly Finding[]) =>
      sarif(findings).runs[0]?.results.map((one) => one.partialFingerprints['keyturnFinding/v1'])
    const moved: Finding = { ...inFile, place: { kind: 'file', path: 'src/a b,c.ts', line: 9, name: 'KEY' } }
    expect(prints([moved])).toEqual(prints([inFile]))
    expect(prints([ofVariable])).not.toEqual(prints([inFile]))
  })

  it('is what code scanning takes, wherever a finding is and whatever it is called', () => {
    const key = { kind: 'file', name: 'KEY' } as const
    const places: readonly NonNullable<Finding['place']>[] = [
      { ...key, path: 'src/a b,c.ts', line: 7, column: 3 },
      { ...key, path: '.env' },
      { ...key, path: 'https:/a?b#c\rd/[é]/..%2F..' },
      { ...key, path: '../../.env', line: 2 },
      { ...key, path: '..' },
      { ...key, path: '/home/runner/.bashrc', line: 2 },
      { kind: 'variable', name: 'OPENAI_API_KEY' },
      { kind: 'address', url: 'https://llm.example.com' },
      { kind: 'credential', name: 'openai', store: 'vault' },
    ]
    const { place: _place, ...nowhere } = inFile
    const found = [nowhere, ...places.map((place) => ({ ...inFile, place })), ofVariable]
    const log = sarif(found, [{ check: 'dotenv', code: 'internal' }])
    expect(sarifProblems(log)).toEqual([])
    expect(sarifProblems(sarif([]))).toEqual([])
    // Otherwise nothing would have been looked at.
    const [run] = log.runs
    const broken = { ...log, runs: [{ ...run, results: [{ ...run?.results[0], locations: [] }] }] }
    expect(sarifProblems(broken)).toEqual(['/runs/0/results/0/locations must NOT have fewer than 1 items'])
  })

  it('names what lies outside of the folder beside it, since no path of the repository leads there', () => {
    const place = { kind: 'file', path: '../../.env', line: 2 } as const
    expect(sarif([{ ...inFile, place }]).runs[0]?.results[0]?.locations).toEqual([
      {
        physicalLocation: { artifactLocation: { uri: '.', uriBaseId: 'SRCROOT' }, region: { startLine: 1 } },
        logicalLocations: [{ fullyQualifiedName: '../../.env:2', kind: 'file' }],
      },
    ])
  })

  it('says that it is not whole where a check broke', () => {
    const [run] = sarif([], [{ check: 'dotenv', code: 'internal' }]).runs
    expect(run?.invocations).toMatchObject([
      { executionSuccessful: false, toolExecutionNotifications: [{ level: 'error' }] },
    ])
  })
})

describe('annotations', () => {
  it('are one line each, with everything escaped that the runner would take for syntax', () => {
    expect(annotationsOf(report([inFile, ofVariable]))).toEqual([
      '::error file=src/a b%2Cc.ts,line=7,col=3,title=key_in_source%3A a key in the source::a key in a literal%0AIt was hardcoded, at 100%25.%0AFix: keyturn rotate NAME%0Akeyturn status',
      '::warning title=rotation_overdue%3A a key older than its policy::OPENAI_API_KEY: a key in a literal%0AIt was hardcoded, at 100%25.%0AFix: keyturn rotate NAME%0Akeyturn status',
    ])
  })

  it('tell a check that broke, and nothing where all is well', () => {
    expect(annotationsOf(report([], [{ check: 'dotenv', code: 'internal' }]))).toEqual([
      expect.stringMatching(/^::error title=keyturn doctor::The check dotenv broke/),
    ])
    expect(annotationsOf(report([]))).toEqual([])
  })
})

describe('the summary of a run', () => {
  it('is a table in which no text begins a cell, a row or markup of its own', () => {
    const odd: Finding = { ...inFile, seen: 'a | b <img src=x> `c` [d](e)\nf' }
    const lines = jobSummaryOf(report([odd]), '').split('\n')
    expect(lines).toHaveLength(6)
    expect(lines[4]?.match(/\|/g)).toHaveLength(6)
    expect(lines[4]).not.toMatch(/<img|\]\(/)
  })

  it('is the one line where all is well', () => {
    expect(jobSummaryOf(report([]), 'healthy, all of it')).toBe('### keyturn doctor\n\nhealthy, all of it\n')
  })
})

describe('what a stranger names', () => {
  it('shows no key in the report, wherever the name of a file, a model or an address has one', () => {
    const key = newKey()
    const place = { kind: 'file', path: `${key}/a.py`, line: 1 } as const
    const examination = {
      findings: [{ ...inFile, seen: key, place }],
      facts: {
        ...emptyFacts,
        models: [{ value: key, place }],
        keys: [{ place, text: new Secret(key) }],
        baseUrl: { value: `https://llm.example.com/${key}`, place },
      },
      broken: [],
      tookMs: 1,
    }
    const seen = reportOf(examination, {
      hash: system,
      version: '1.2.3',
      at: 0,
      folder: `/srv/${key}`,
      isOffline: false,
      steps: [{ name: 'http', about: `GET https://llm.example.com/${key}/models`, state: 'passed' }],
      proven: { organization: key, project: null, models: [key] },
      comparisons: [],
    })
    expect(JSON.stringify(seen)).not.toContain(key.slice(10, 18))
  })

  it('shows no secret of the environment that a .env puts into an address or an id', () => {
    const secret = 'hunter2hunter2'
    const place = { kind: 'file', path: '.env', line: 1 } as const
    const facts = {
      ...emptyFacts,
      baseUrl: { value: `https://llm.example.com/${secret}`, place },
      organization: { value: secret, place },
    }
    const examination = { findings: [{ ...inFile, seen: `x ${secret}` }], facts, broken: [], tookMs: 1 }
    const about = {
      hash: system,
      version: '1.2.3',
      at: 0,
      folder: '/srv/app',
      isOffline: false,
      steps: [],
      proven: { organization: null, project: null, models: [] },
      comparisons: [],
    }
    const env = { DB_PASSWORD: secret, KEYTURN_TOKEN_FILE: '/srv/app', OPENAI_ORG_ID: 'org-1' }
    expect(JSON.stringify(reportOf(examination, { ...about, env }))).not.toContain(secret)
    expect(reportOf(examination, { ...about, env }).folder).toBe('/srv/app')
  })

  it('stays one path in SARIF, and one row in the summary', () => {
    const place = { kind: 'file', path: 'https:/a?b#c\rd' } as const
    const finding: Finding = { ...inFile, seen: 'a\r\rb\n| c | d', place }
    const log = JSON.stringify(sarifOf(report([finding]), { hash: system, explain: () => 'x' }))
    expect(log).toContain('"uri":"https%3A/a%3Fb%23c%0Dd"')
    expect(
      jobSummaryOf(report([finding]), '')
        .trimEnd()
        .split(/[\r\n]/),
    ).toHaveLength(5)
  })
})
