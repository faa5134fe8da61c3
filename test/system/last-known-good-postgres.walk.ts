import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { freePort } from '../free-port.ts'
import { createDatabase, sharedPostgres, type TestDatabase } from '../postgres/database.ts'
import {
  handOut,
  prepareRig,
  type Rig,
  rotate,
  summary,
  until,
  untilPromoted,
  untilReady,
} from './harness.ts'
import { serveRig } from './in-process.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase(await sharedPostgres())
})
afterAll(() => database.drop())

/** Between Keyturn and PostgreSQL: passes on, refuses, or takes connections and never says a word. */
class Wire {
  readonly port: number
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  constructor(port: number) {
    this.port = port
  }

  async open(how: 'passes' | 'swallows'): Promise<void> {
    await this.close()
    const { host, port } = database.address
    const server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => socket.destroy())
      if (how === 'swallows') return
      const other = connect(port, host)
      other.on('error', () => socket.destroy())
      socket.on('close', () => other.destroy())
      other.on('close', () => socket.destroy())
      socket.pipe(other)
      other.pipe(socket)
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve))
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
    if (server !== undefined) await new Promise((resolve) => server.close(resolve))
  }
}

async function rigOn(wire: Wire, schema: string): Promise<Rig> {
  const rig = await prepareRig({ policy: { overlap: '1s', provingSettle: '50ms' } })
  const { user, password } = database.address
  writeFileSync(join(rig.home, 'db-password'), password, { mode: 0o600 })
  appendFileSync(
    join(rig.home, 'keyturn.yaml'),
    `ledger: { kind: postgres, url: "postgres://${user}@127.0.0.1:${wire.port}/${database.name}", schema: ${schema}, password: { file: db-password } }\n`,
  )
  return rig
}

const isFromFile = ({ body }: Awaited<ReturnType<typeof handOut>>): boolean => body.isLastKnownGood === true

it('PostgreSQL refuses, or swallows everything, or does not know the password: a restart answers all the same, says what is wrong, and takes over when it is back', async () => {
  const wire = new Wire(await freePort())
  onTestFinished(() => wire.close())
  await wire.open('passes')
  const rig = await rigOn(wire, 'lkg')
  const first = await serveRig(rig)
  await untilReady(rig)
  const before = (await handOut(rig)).body
  await first.stop()
  renameSync(join(rig.home, 'secrets', 'openai'), join(rig.home, 'away'))
  rig.sandbox.set({ hang: true })
  const expectFromFile = async (said: RegExp): Promise<void> => {
    const given = await handOut(rig)
    expect(given.body).toMatchObject({
      apiKey: before.apiKey,
      generation: before.generation,
      isLastKnownGood: true,
    })
    const { troubles } = await until(
      'what is wrong is told',
      () => summary(rig),
      (one) => one.troubles.some((trouble) => said.test(trouble.summary)),
    )
    for (const { fix } of troubles) expect(fix).not.toBe('')
  }

  await wire.close()
  const refused = await serveRig(rig)
  await expectFromFile(/refuse|reach|connect/i)
  await refused.stop()

  await wire.open('swallows')
  const swallowed = await serveRig(rig)
  await expectFromFile(/answer|reach/i)
  await swallowed.stop()

  await wire.open('passes')
  writeFileSync(join(rig.home, 'db-password'), 'wrong', { mode: 0o600 })
  await serveRig(rig)
  await expectFromFile(/password/i)

  // Mended while it runs: nothing is restarted.
  writeFileSync(join(rig.home, 'db-password'), database.address.password, { mode: 0o600 })
  renameSync(join(rig.home, 'away'), join(rig.home, 'secrets', 'openai'))
  rig.sandbox.reset()
  await until(
    'the engine has taken over',
    () => handOut(rig),
    (given) => given.status === 200 && !isFromFile(given) && given.body.verdict === 'valid',
    60_000,
  )
  expect((await handOut(rig)).body).toMatchObject({ apiKey: before.apiKey, generation: before.generation })
  await untilPromoted(rig, (await rotate(rig)).id)
  expect((await handOut(rig)).body.generation).toBeGreaterThan(before.generation)
}, 120_000)
