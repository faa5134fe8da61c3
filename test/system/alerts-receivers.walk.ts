import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openWebhook } from '../../src/alerts/webhook.ts'
import type { AlertsAnswer, AlertTestResult } from '../../src/api/alert-types.ts'
import { testNotice } from '../../src/core/alert-notice.ts'
import { Secret } from '../../src/core/secret.ts'
import { startSandbox } from '../../src/sandbox/index.ts'
import { contextOf } from '../alerts/drivers.ts'
import { httpReceiver, type Taken } from '../alerts/receivers.ts'
import { fencesOf } from '../docs/markdown.ts'
import { repository } from '../docs/pages.ts'
import { freePort } from '../free-port.ts'
import { Canaries } from './canaries.ts'
import { runCli } from './cli.ts'
import { aliveKeys, call, prepareRig, until, untilReady } from './harness.ts'
import { spawnService } from './process.ts'

const hasPython = ((): boolean => {
  try {
    return execFileSync('python3', ['--version']).length > 0
  } catch {
    return false
  }
})()

const page = readFileSync(join(repository, 'docs/alerts.md'), 'utf8')

/** A receiver as docs/alerts.md has it, as a process of its own. */
async function documented(language: string, secret: string) {
  const [fence] = fencesOf(page).filter((one) => one.language === language)
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-receiver-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, language === 'js' ? 'receiver.mjs' : 'receiver.py')
  writeFileSync(file, fence?.code ?? '')
  const port = await freePort()
  const env = { PATH: process.env['PATH'] ?? '', KEYTURN_WEBHOOK_SECRET: secret, PORT: String(port) }
  const program = language === 'js' ? process.execPath : 'python3'
  const child: ChildProcess = spawn(program, [file], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const exited = once(child, 'exit')
  onTestFinished(async () => {
    child.kill()
    await exited
  })
  let said = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text))
  const url = `http://127.0.0.1:${port}/hook`
  await until(
    'it listens',
    async () => (await fetch(url, { method: 'POST', body: '{}' })).status,
    (status) => status === 401,
  )
  return { url, said: () => said }
}

async function deliver(url: string, secret: string, now: number, unique = 'a') {
  const channel = openWebhook(
    { kind: 'webhook', url: async () => new Secret(url), secret: async () => new Secret(secret) },
    contextOf({ clock: { now: () => now } }),
  )
  return await channel.deliver(testNotice('ops', { installation: 'inst', linkBase: undefined, unique }, now))
}

const bytes = 'documented-secret-of-a-receiver'
const secrets = [`whsec_${Buffer.from(bytes).toString('base64')}`, bytes]

describe.each(hasPython ? ['js', 'python'] : ['js'])('the receiver in %s of docs/alerts.md', (language) => {
  it.each(secrets)(
    'takes what Keyturn sends, once, and nothing that is older, forged or changed',
    async (secret) => {
      const receiver = await documented(language, secret)
      const delivered = { kind: 'delivered' }
      expect(await deliver(receiver.url, secret, Date.now())).toEqual(delivered)
      // While the secret is turned there are two signatures.
      const other = 'x'.repeat(24)
      expect(await deliver(receiver.url, `${other}\n${secret}`, Date.now(), 'b')).toEqual(delivered)
      // The same again is taken, and not told again.
      expect(await deliver(receiver.url, secret, Date.now(), 'b')).toEqual(delivered)
      await until(
        'both were told',
        () => receiver.said().match(/A test of Keyturn’s alerts/g)?.length,
        (count) => count === 2,
      )
      const refused = expect.objectContaining({ kind: 'failed', isPermanent: true })
      expect(await deliver(receiver.url, other, Date.now(), 'c')).toEqual(refused)
      // Five minutes are the limit. The receiver's clock runs on, and the header holds whole seconds: one second
      // past the limit is not past it any more where this machine is slow.
      for (const ms of [-301_000, 330_000, Number.NaN])
        expect(await deliver(receiver.url, secret, Date.now() + ms, 'c')).toEqual(refused)
      const sink = await httpReceiver()
      await deliver(`${sink.url}/hook`, secret, Date.now(), 'd')
      const [taken] = sink.taken
      expect(await replay(receiver.url, taken, {}, ' ')).toBe(401)
      expect(await replay(receiver.url, taken, { 'webhook-id': 'another' })).toBe(401)
      expect(await replay(receiver.url, taken, { 'webhook-signature': 'v1,' })).toBe(401)
      const empty = createHmac('sha256', '')
        .update(taken?.body ?? '')
        .digest('base64')
      expect(await replay(receiver.url, taken, { 'webhook-signature': `v2,${empty} v1,${empty}` })).toBe(401)
      expect(await replay(receiver.url, taken, {})).toBe(204)
      await until(
        'what was replayed within its time was told, once',
        () => receiver.said().match(/A test/g)?.length,
        (count) => count === 3,
      )
    },
  )
})

async function replay(url: string, taken: Taken | undefined, change: Record<string, string>, more = '') {
  const of = (name: string): string => change[name] ?? String(taken?.headers[name] ?? '')
  const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature']
  const headers = Object.fromEntries(names.map((name) => [name, of(name)]))
  return (await fetch(url, { method: 'POST', headers, body: `${taken?.body ?? ''}${more}` })).status
}

it('channels that are wrong in every way say what to mend, and no secret of any of them is anywhere', async () => {
  const canaries = new Canaries()
  const secretOf = (): string => Buffer.from(canaries.random(48)).toString('base64url')
  const sandbox = await startSandbox({ random: canaries.random })
  onTestFinished(() => sandbox.close())
  const rig = await prepareRig({ sandbox })
  const good = await httpReceiver()
  const refusing = await httpReceiver()
  refusing.behave({ status: 403 })
  const elsewhere = await httpReceiver()
  elsewhere.behave({ status: 301, answer: 'redirect' })
  const deadPort = await freePort()
  const file = (name: string, text: string): string => {
    const path = join(rig.home, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  mkdirSync(join(rig.home, 'folder.url'))
  const env = {
    GOOD: secretOf(),
    ELSEWHERE: `${elsewhere.url}/services/${secretOf()}`,
    PLAIN: `http://hooks.slack.com/services/${secretOf()}`,
    NO_DSN: `https://sentry.example.com/${secretOf()}`,
    MANY: `DD_API_KEY=${secretOf()}\nDD_SITE=eu`,
  }
  const channels: Readonly<Record<string, string>> = {
    good: `{ kind: webhook, url: "${good.url}/hook", secret: { env: GOOD } }`,
    dead: `{ kind: slack, url: { file: ${file('dead.url', `http://127.0.0.1:${deadPort}/${secretOf()}\n`)} } }`,
    refusing: `{ kind: slack, url: { file: ${file('refusing.url', `${refusing.url}/${secretOf()}\n`)} } }`,
    elsewhere: '{ kind: teams, url: { env: ELSEWHERE } }',
    plain: '{ kind: slack, url: { env: PLAIN } }',
    missing: '{ kind: teams, url: { file: nowhere.url } }',
    folder: '{ kind: teams, url: { file: folder.url } }',
    unset: '{ kind: pagerduty, routingKey: { env: NOBODY_SET_IT } }',
    nodsn: '{ kind: sentry, dsn: { env: NO_DSN } }',
    many: `{ kind: datadog, apiKey: { env: MANY }, url: "${good.url}" }`,
  }
  const lines = Object.entries(channels).map(([name, text]) => `    ${name}: ${text}`)
  appendFileSync(join(rig.home, 'keyturn.yaml'), ['alerts:', '  channels:', ...lines, ''].join('\n'))
  const withEnv = { ...rig, env: { ...rig.env, ...env } }
  await spawnService(withEnv)
  await untilReady(rig)
  const test = await runCli(rig, ['alerts', 'test', '--json'])
  expect(test.code).toBe(3)
  const { items } = JSON.parse(test.out) as { items: AlertTestResult[] }
  const said = Object.fromEntries(items.map(({ channel, failure }) => [channel, failure]))
  expect(said).toEqual({
    good: null,
    dead: 'the connection failed (ECONNREFUSED)',
    refusing: 'it answered with status 403',
    elsewhere: 'it answered with status 301: redirects are not followed, write the address that it leads to',
    plain:
      'The address of the Slack webhook is not an https:// address. Copy the whole address again; http:// only to this machine.',
    missing: `Its secret is not in ${join(rig.home, 'nowhere.url')}. Put it there.`,
    folder: expect.stringMatching(/^Its secret cannot be read from .*folder\.url.* is not a regular file\./),
    unset: 'Its secret is not in the variable NOBODY_SET_IT. Put it there.',
    nodsn:
      'The DSN of Sentry has no key, or no project. Copy it from the project: Settings, Client Keys (DSN).',
    many: 'its secret has characters that no request can carry: keep the bare secret there, on one line',
  })
  expect(good.taken.map(({ path }) => path)).toEqual(['/hook'])
  // Something to tell, for the log, the list and the book.
  for (const key of aliveKeys(rig.sandbox)) rig.sandbox.deleteKey(key)
  await until(
    'the good one was told',
    () => good.taken.length,
    (count) => count > 1,
    60_000,
  )
  const list = await runCli(rig, ['alerts', 'list'])
  // Each channel is told in its own time.
  const { body } = await until(
    'the channels that refuse are named',
    () => call<AlertsAnswer>(rig, '/v1/alerts'),
    ({ body: { channels: all } }) =>
      ['refusing', 'plain', 'missing'].every((name) =>
        all.some((one) => one.name === name && one.isRefusing),
      ),
  )
  const outputs = [
    list.out,
    list.err,
    test.out,
    test.err,
    JSON.stringify(body),
    ...(await Promise.all(
      [
        ['config', 'check'],
        ['audit', 'list', '--json'],
        ['status', '--json'],
      ].map(async (args) => {
        const run = await runCli(withEnv, args)
        return run.out + run.err
      }),
    )),
    rig.logs.join('\n'),
    readFileSync(join(rig.home, 'ledger.db'), 'latin1'),
    good.taken.map((one) => JSON.stringify(one)).join('\n'),
  ]
  canaries.add(rig.operatorToken())
  expect(outputs.join('\n')).toContain('it answered with status 403')
  expect(canaries.search(new Map(outputs.map((text, index) => [String(index), text])))).toEqual([])
}, 120_000)
