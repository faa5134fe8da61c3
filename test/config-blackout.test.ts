import { expect, it } from 'vitest'
import { checkConfig, loadConfig } from '../src/config.ts'
import { assertValidCron, createOccurrences } from '../src/engine/cron.ts'

const sourcesOf = (blackout: string) => ({
  env: {},
  cwd: '/srv/app',
  readFile: (path: string) =>
    path === '/srv/app/keyturn.yaml'
      ? `credentials:\n  openai:\n    store: { kind: local }\n    blackout: ${blackout}\n`
      : undefined,
  assertValidCron,
  occurrences: createOccurrences(),
})

it('reads windows that come again and those that come once, as they stand in YAML', () => {
  const [credential] = loadConfig(
    sourcesOf(
      "[{ from: '0 17 * * 5', for: 63h, timeZone: Europe/Berlin }, { from: 2026-12-20T00:00:00Z, until: '2027-01-02T06:00:00+01:00' }]",
    ),
  ).credentials
  expect(credential?.blackout).toEqual([
    { expression: '0 17 * * 5', timeZone: 'Europe/Berlin', forMs: 63 * 3_600_000 },
    { fromAt: Date.UTC(2026, 11, 20), untilAt: Date.UTC(2027, 0, 2, 5) },
  ])
})

const wrong: readonly (readonly [string, string, RegExp])[] = [
  ['no list', 'weekends', /blackout: expected a list; expected windows such as/],
  ['a window without an end', "[{ from: '0 17 * * 5' }]", /blackout\[0\]/],
  [
    'a wrong expression',
    "[{ from: '0 25 * * *', for: 1h }]",
    /blackout\[0\]\.from: the beginning .*"25" for the hour/,
  ],
  ['a zone that is none', "[{ from: '0 5 * * *', for: 1h, timeZone: Mars/North }]", /IANA time zone/],
  ['one that lasts too long', "[{ from: '0 5 1 * *', for: 40d }]", /blackout\[0\]/],
  [
    'an end before the beginning',
    '[{ from: 2026-12-20T00:00:00Z, until: 2026-12-19T00:00:00Z }]',
    /ends before it begins/,
  ],
  [
    'half a year at once',
    '[{ from: 2026-01-01T00:00:00Z, until: 2026-07-01T00:00:00Z }]',
    /longer than 92 days/,
  ],
  [
    'an instant without a zone',
    '[{ from: 2026-12-20T00:00:00, until: 2026-12-21T00:00:00 }]',
    /blackout\[0\]/,
  ],
  ['what never ends', "[{ from: '0 * * * *', for: 1h }]", /leave no time between them/],
  [
    'what never ends taken together',
    "[{ from: '0 8 * * *', for: 13h }, { from: '0 20 * * *', for: 13h }]",
    /leave no time between them/,
  ],
]

it.each(wrong)('refuses %s', (_what, blackout, told) => {
  const check = checkConfig(sourcesOf(blackout))
  const problems = check.kind === 'invalid' ? check.problems : []
  expect(problems.map(({ path, message }) => `${path}: ${message}`).join('\n')).toMatch(told)
  for (const { fix } of problems) expect(fix).not.toBe('')
})
