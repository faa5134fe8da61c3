import { expect, it } from 'vitest'
import { checkConfig, loadConfig } from '../src/config.ts'

const sourcesOf = (consumers: string) => ({
  env: {},
  cwd: '/srv/app',
  readFile: (path: string) =>
    path === '/srv/app/keyturn.yaml'
      ? `credentials:\n  openai:\n    store: { kind: local }\n    consumers: ${consumers}\n`
      : undefined,
})

it('reads who keeps a key without asking again, and for how long', () => {
  const [credential] = loadConfig(
    sourcesOf("[{ name: nightly batch, keepsFor: 48h }, { name: 'report' }]"),
  ).credentials
  expect(credential?.consumers).toEqual([
    { name: 'nightly batch', keepsForMs: 172_800_000 },
    { name: 'report', keepsForMs: 86_400_000 },
  ])
})

const wrong: readonly (readonly [string, string, RegExp])[] = [
  ['no list', 'nightly', /consumers: expected a list of consumers/],
  [
    'one without a name',
    '[{ keepsFor: 1h }]',
    /consumers\[0\]\.name: 'name' is missing: expected a name for people/,
  ],
  [
    'one that keeps a key for ever',
    '[{ name: batch, keepsFor: 400d }]',
    /keepsFor: expected a duration from 1s to 90d/,
  ],
  ['a misspelt key', '[{ name: batch, keepFor: 1h }]', /consumers\[0\]\.keepFor: .*keepsFor/],
]

it.each(wrong)('refuses %s', (_what, consumers, told) => {
  const check = checkConfig(sourcesOf(consumers))
  const problems = check.kind === 'invalid' ? check.problems : []
  expect(problems.map((one) => `${one.path}: ${one.message} ${one.fix}`).join('\n')).toMatch(told)
})
