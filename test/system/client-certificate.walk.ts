import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import type { LeaseSummary } from '../../src/api/types.ts'
import { type Issued, makeAuthority } from '../stores/fakes/authority.ts'
import { runCli } from './cli.ts'
import { prepareRig, until } from './harness.ts'
import { startCli } from './keyed.ts'

const entry = new URL('../../src/index.ts', import.meta.url).href
const servers = makeAuthority('servers')
const clients = makeAuthority('clients')
const identity = (name: string) => clients.issue({ uris: [`spiffe://test/${name}`] })

/** A service that lets nobody in without a certificate, and what an app is given to show one. */
async function closedService() {
  const rig = await prepareRig()
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-certificate-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const place = (name: string, content: string) => {
    const path = join(folder, name)
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
  const show = ({ cert, key }: Issued) => ({
    KEYTURN_CLIENT_CERT_FILE: place('me.pem', cert),
    KEYTURN_CLIENT_KEY_FILE: place('me.key', key),
  })
  const own = servers.issue({ ips: [[127, 0, 0, 1]] })
  const tls = {
    cert: place('tls.pem', own.cert),
    key: place('tls.key', own.key),
    clientCa: place('ca.pem', clients.cert),
  }
  appendFileSync(
    join(rig.home, 'keyturn.yaml'),
    `tls: ${JSON.stringify({ ...tls, clientCertificates: 'required' })}
access: { certificates: [{ uri: 'spiffe://test/*', grants: [{ credentials: [openai], may: [read] }] }] }\n`,
  )
  const files = { KEYTURN_CA_FILE: place('servers.pem', servers.cert), ...show(identity('first')) }
  startCli(['serve'], { env: rig.env, cwd: rig.home })
  const url = rig.url.replace('http:', 'https:')
  const operate = (...args: string[]) =>
    runCli(rig, args, { env: { ...rig.env, KEYTURN_URL: url, ...files } })
  await until(
    'there is a key',
    async () => (await operate('status', 'openai')).code,
    (code) => code === 0,
    60_000,
  )
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    KEYTURN_HOME: folder,
    KEYTURN_URL: url,
    ...files,
  }
  const leases = async () => {
    const { out } = await operate('leases', 'openai', '--json')
    return (JSON.parse(out) as { items: readonly LeaseSummary[] }).items
  }
  return { folder, env, show, operate, leases }
}

it('a script with nothing but a certificate gets its key, and says at its end that it uses it no more', async () => {
  const { env, folder, operate, leases } = await closedService()
  const code = `import { getOpenAIKey } from '${entry}'; process.stdout.write(typeof await getOpenAIKey())`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: folder,
    env: { ...env, NODE_NO_WARNINGS: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  expect(await Promise.all([text(child.stdout), once(child, 'close')])).toEqual(['string', [0, null]])
  await until('nobody holds a key', leases, (all) => all.length === 0)
  expect(await operate('rotate', 'openai', '--wait')).toMatchObject({ code: 0 })
})

it('a program runs on under a certificate that is replaced, and the next key is asked for with the new one', async () => {
  const { env, folder, show, operate, leases } = await closedService()
  const run = startCli(['exec', '--', 'sh', '-c', 'echo up $$; exec sleep 1000'], { env, cwd: folder })
  await run.seen(/^up /)
  const apps = async () => (await leases()).map(({ app }) => app)
  expect(await apps()).toEqual(['spiffe://test/first'])
  show(identity('second'))
  await operate('rotate', 'openai')
  await run.seen('runs with another key')
  expect(await apps()).toContain('spiffe://test/second')
  run.send('SIGTERM')
  expect(await run.ended).toBe(143)
})
