import { chmod, mkdir, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { noAccess } from '../../../src/core/access.ts'
import { operatorGrants, socketPerson } from '../../../src/server/auth/caller.ts'
import { createCertificateWay } from '../../../src/server/auth/certificates.ts'
import { createEveryWay } from '../../../src/server/auth/every-way.ts'
import { createPolicyHolder } from '../../../src/server/auth/policy.ts'
import type { SocketFile } from '../../../src/server/listen.ts'
import { createServer } from '../../../src/server/server.ts'
import { openTokenStore } from '../../../src/server/tokens.ts'
import { createFakeService } from '../fake-service.ts'
import { shiftedSystem, signerIn, temporaryFolder } from '../harness.ts'

async function start(socket: SocketFile = {}, folderMode = 0o700) {
  const home = await temporaryFolder()
  const folder = join(home, 'run')
  await mkdir(folder)
  await chmod(folder, folderMode)
  const system = shiftedSystem()
  const log = (): void => undefined
  const tokens = await openTokenStore({ path: join(home, 'tokens.json'), system, log })
  onTestFinished(() => tokens.close())
  const policy = createPolicyHolder()
  const path = join(folder, 'k.sock')
  const server = await createServer({
    service: createFakeService(['openai', 'openai-prod'], []),
    tokens,
    authenticator: createEveryWay({
      tokens,
      policy,
      jwt: { authenticate: () => undefined, isLive: () => false },
      certificates: createCertificateWay({ policy, system }),
      isUnixSocket: true,
    }),
    socket,
    signer: signerIn(home),
    listen: { kind: 'unix', path },
    trustedProxies: ['unix'],
    log,
    system,
    version: '1',
    isSandbox: true,
  })
  onTestFinished(() => server.stop())
  return { path, policy, tokens }
}

function ask(
  socketPath: string,
  path: string,
  headers: Record<string, string> = {},
  body?: object,
): Promise<number> {
  const method = body === undefined ? 'GET' : 'POST'
  const all = body === undefined ? headers : { ...headers, 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    request({ socketPath, path, method, headers: all, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
      .on('error', reject)
      .end(body === undefined ? undefined : JSON.stringify(body))
  })
}

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

describe('the Unix socket', () => {
  it('is for its user alone, unless it is said for whom else', async () => {
    expect(await modeOf((await start()).path)).toBe(0o600)
    const group = process.getgid?.() ?? 0
    const { path } = await start({ mode: 0o660, group })
    expect(await modeOf(path)).toBe(0o660)
    expect((await stat(path)).gid).toBe(group)
  })

  it('is refused in a folder in which everybody may replace it, and not where nobody else may', async () => {
    await expect(start({}, 0o777)).rejects.toMatchObject({ code: 'permissions_lax' })
    expect(await modeOf((await start({}, 0o1777)).path)).toBe(0o600)
  })

  it('is refused for a group that is not known', async () => {
    await expect(start({ group: 'no-such-group' })).rejects.toMatchObject({ code: 'config_invalid' })
  })

  it('lets nobody in without a token, unless a rule says what they may', async () => {
    const { path, policy, tokens } = await start()
    const openai = '/v1/credentials/openai'
    expect(await ask(path, openai)).toBe(401)
    policy.replace({ ...noAccess, socket: [{ credentials: ['openai'], may: ['read'] }] })
    expect(await ask(path, openai)).toBe(200)
    expect(await ask(path, '/v1/credentials/openai-prod')).toBe(404)
    expect(await ask(path, `${openai}/versions`)).toBe(403)
    expect(await ask(path, openai, { authorization: 'Bearer kt_app_bad' })).toBe(401)
    const { token } = await tokens.create({ name: 'web', credentials: ['openai-prod'] })
    expect(await ask(path, '/v1/credentials/openai-prod', { authorization: `Bearer ${token}` })).toBe(200)
    policy.replace(noAccess)
    expect(await ask(path, openai)).toBe(401)
  })
})

it('who comes over the socket is nobody in particular, and so are the tokens they make', () => {
  const policy = createPolicyHolder({ ...noAccess, socket: operatorGrants })
  const tokens = { authenticate: () => undefined, isLive: () => false, onChange: () => () => undefined }
  const way = createEveryWay({
    tokens,
    policy,
    jwt: { authenticate: () => undefined, isLive: () => false },
    certificates: createCertificateWay({ policy, system: shiftedSystem() }),
    isUnixSocket: true,
  })
  const socket = new Socket()
  expect(way.authenticate({ authorization: undefined, socket })).toMatchObject({ person: socketPerson })
})

it('whom a proxy passes on has nothing by the socket of the proxy', async () => {
  const { path, policy, tokens } = await start()
  policy.replace({ ...noAccess, socket: [{ credentials: ['openai'], may: ['read'] }] })
  const openai = '/v1/credentials/openai'
  expect(await ask(path, openai)).toBe(200)
  const passedOn = { 'x-forwarded-for': '203.0.113.7' }
  expect(await ask(path, openai, passedOn)).toBe(401)
  expect(await ask(path, openai, { via: '1.1 proxy' })).toBe(401)
  const { token } = await tokens.create({ name: 'web', credentials: ['openai'] })
  expect(await ask(path, openai, { ...passedOn, authorization: `Bearer ${token}` })).toBe(200)
})

describe('rules for tokens', () => {
  it('end what they let in when they are gone, where they gave more than the token has', async () => {
    const { path, policy, tokens } = await start()
    const made = await tokens.create({ name: 'ci-1', credentials: ['openai-prod'] })
    const headers = { authorization: `Bearer ${made.token}` }
    const wider = [{ name: 'ci-*', grants: [{ credentials: ['openai'], may: ['read' as const] }] }]
    policy.replace({ ...noAccess, tokens: wider })
    const stream = request({ socketPath: path, path: '/v1/credentials/openai/events', headers, agent: false })
    const ended = new Promise<string>((resolve) => {
      stream.on('response', (answer) => {
        let text = ''
        answer.on('data', (chunk: Buffer) => {
          if (text === '') policy.replace(noAccess)
          text += chunk.toString()
        })
        answer.on('end', () => resolve(text))
      })
    })
    stream.end()
    expect(await ended).toContain('the token is no longer good')
    expect(await ask(path, '/v1/credentials/openai', headers)).toBe(404)
    expect(await ask(path, '/v1/credentials/openai-prod', headers)).toBe(200)
  })

  it('give nobody a token that may more than its maker, by the choice of its name', async () => {
    const { path, policy, tokens } = await start()
    const maker = await tokens.create({ name: 'maker', credentials: ['*'], grants: ['operate'] })
    await tokens.create({ name: 'ci-old', credentials: ['openai'], grants: ['operate'] })
    policy.replace({
      ...noAccess,
      tokens: [{ name: 'ci-*', grants: [{ credentials: ['openai'], may: ['read'] }] }],
    })
    const headers = { authorization: `Bearer ${maker.token}` }
    const make = (name: string): Promise<number> =>
      ask(path, '/v1/tokens', headers, { name, credentials: ['openai'], grants: ['operate'] })
    expect(await make('other')).toBe(201)
    expect(await make('ci-new')).toBe(403)
    expect(await ask(path, '/v1/tokens/rotations', headers, { name: 'ci-old' })).toBe(403)
  })

  it('take the place of what the token was made with, also for streams that are open', async () => {
    const { path, policy, tokens } = await start()
    const made = await tokens.create({ name: 'ci-1', credentials: ['openai'] })
    const headers = { authorization: `Bearer ${made.token}` }
    expect(await ask(path, '/v1/credentials/openai', headers)).toBe(200)
    const streams = request({
      socketPath: path,
      path: '/v1/credentials/openai/events',
      headers,
      agent: false,
    })
    const ended = new Promise((resolve) => {
      streams.on('response', (answer) => {
        answer.once('data', () =>
          policy.replace({
            ...noAccess,
            tokens: [{ name: 'ci-*', grants: [{ credentials: ['openai-prod'], may: ['read'] }] }],
          }),
        )
        answer.on('data', () => undefined)
        answer.on('end', resolve)
      })
    })
    streams.end()
    await ended
    expect(await ask(path, '/v1/credentials/openai', headers)).toBe(404)
    expect(await ask(path, '/v1/credentials/openai-prod', headers)).toBe(200)
    await tokens.revoke(made.id)
    expect(await ask(path, '/v1/credentials/openai-prod', headers)).toBe(401)
  })
})
