import { expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { checkConfig, fileJsonSchema } from '../../src/config.ts'
import { assertValidCron } from '../../src/engine/cron.ts'
import { fencesOf } from './markdown.ts'
import { pages } from './pages.ts'
import { leavesOf } from './schema-leaves.ts'

/** What tells the files of others: Kubernetes, values of the chart, GitHub Actions, Docker Compose, roles of Google Cloud, Prometheus. */
const foreign = [
  'apiVersion',
  'image',
  'spec',
  'jobs',
  'services',
  'includedPermissions',
  'groups',
  'rule_files',
  'scrape_configs',
  'runs',
  'steps',
]

const leaves = leavesOf(fileJsonSchema()).map(({ path }) => path.split('.'))
const onTop = new Set(leaves.map(([first]) => first))
const credentialKeys = leaves.filter(([first]) => first === 'credentials')
const ofCredential = new Set(credentialKeys.map(([, , key]) => key))
const ofIdentity = new Set(credentialKeys.filter(([, , key]) => key === 'identity').map(([, , , key]) => key))
const channelKeys = leaves.filter(([first, second]) => first === 'alerts' && second === 'channels')
const ofChannel = new Set(channelKeys.map(([, , , key]) => key))

/** A part of the file is put where it belongs, beside the least that a file needs. */
function whole(value: object): object {
  const keys = Object.keys(value)
  const areIn = (known: ReadonlySet<string | undefined>): boolean => keys.every((key) => known.has(key))
  if (areIn(onTop)) return { credentials: mentionedBy(value), ...value }
  if (areIn(ofCredential)) return { credentials: { openai: { store: { kind: 'local' }, ...value } } }
  const identity = { provider: 'idp_abc', serviceAccount: 'svc_acct_abc', ...value }
  if (areIn(ofIdentity)) return { credentials: { openai: { identity } } }
  const credentials = { openai: { store: { kind: 'local' } } }
  if (areIn(ofChannel)) return { credentials, alerts: { channels: { ops: value } } }
  throw new Error(`neither a keyturn.yaml nor a part of one: ${keys.join(', ')}`)
}

/** Grants name credentials that the rest of the file has. */
function mentionedBy(value: object): object {
  const lists = [...JSON.stringify(value).matchAll(/"credentials":\[([^\]]*)\]/g)].map(
    ([, list = '']) => list,
  )
  const names = lists.flatMap((list) => [...list.matchAll(/"([a-z0-9-]+)"/g)].map(([, name]) => name))
  return Object.fromEntries(['openai', ...names].map((name) => [name, { store: { kind: 'local' } }]))
}

const examples = pages().flatMap(({ path, text }) =>
  fencesOf(text)
    .filter(({ language }) => language === 'yaml' || language === 'yml')
    .map(({ code, line }) => ({ at: `${path}:${line}`, code })),
)

const own = examples.filter(({ code }) => {
  // Manifests of Kubernetes come several in one.
  const value: unknown = parseAllDocuments(code)[0]?.toJS()
  return typeof value === 'object' && value !== null && !foreign.some((key) => key in value)
})

it('pages have examples of the configuration', () => {
  expect(own.length).toBeGreaterThan(10)
})

it.each(own)('the configuration at $at is valid', ({ code }) => {
  const text = JSON.stringify(whole(parse(code) as object))
  const check = checkConfig({
    env: {},
    cwd: '/srv/app',
    readFile: (path) => (path === '/srv/app/keyturn.yaml' ? text : undefined),
    assertValidCron,
  })
  expect(check.kind === 'invalid' ? check.problems : []).toEqual([])
})
