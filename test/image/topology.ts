import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import type { CredentialAnswer, Problem, RotationSummary } from '../../src/api/types.ts'
import { until } from '../emulators/processes.ts'
import { sharedPostgres } from '../postgres/database.ts'
import { readCompose } from './compose.ts'
import { type Container, endAll, type Ground, secretFile, start } from './containers.ts'
import type { Runtime } from './runtimes.ts'
import type { Unpacked } from './unpacked.ts'

export interface Topology {
  readonly openai: Container
  readonly replicas: readonly Container[]
  /** A request to a replica's API from within its network, with its operator's token. */
  ask<Answer>(port: number, path: string, init?: object): { readonly status: number; readonly body: Answer }
  close(): Promise<void>
}

/** Where the replicas of compose.sandbox.yaml listen. */
export const ports = [7420, 7430] as const

/** compose.yaml and compose.sandbox.yaml, in their order; PostgreSQL is this machine's, behind the same socket on the same volume. */
export async function startTopology(folder: string, image: Unpacked, runtime: Runtime): Promise<Topology> {
  const compose = readCompose(['compose.yaml', 'compose.sandbox.yaml'], { POSTGRES_IMAGE: 'postgres' })
  const ground: Ground = { runtime, folder, image, compose, running: new Map() }
  await layPostgres(ground)
  try {
    const openai = await healthy(start(ground, 'openai'))
    const configured = start(ground, 'configure')
    if ((await configured.ended) !== 0) throw new Error(`configure failed:\n${configured.said()}`)
    const first = await healthy(start(ground, 'keyturn-1'))
    const second = await healthy(start(ground, 'keyturn-2'))
    return { openai, replicas: [first, second], ask: askFrom(first), close: () => endAll(ground) }
  } catch (error) {
    await endAll(ground)
    throw error
  }
}

/** The role and database that its image would make, and the socket where compose.yaml has it. */
async function layPostgres(ground: Ground): Promise<void> {
  const { host, port, user, password, socket } = await sharedPostgres()
  const secret = randomBytes(16).toString('hex')
  const admin = new Client({ host, port, user, password, database: 'postgres' })
  await admin.connect()
  await admin.query(`CREATE ROLE keyturn LOGIN PASSWORD '${secret}'`)
  await admin.query('CREATE DATABASE keyturn OWNER keyturn')
  await admin.end()
  const file = secretFile(ground, 'keyturn-db')
  writeFileSync(file, secret)
  chmodSync(file, 0o444)
  const sockets = join(ground.folder, 'volumes', 'sockets')
  mkdirSync(sockets, { recursive: true })
  const name = readdirSync(socket).find((one) => one.endsWith(`.PGSQL.${port}`)) ?? ''
  linkSync(join(socket, name), join(sockets, '.s.PGSQL.5432'))
}

async function healthy(container: Container): Promise<Container> {
  let hasEnded = false
  void container.ended.then(() => (hasEnded = true))
  try {
    await until(() => Promise.resolve(container.isHealthy()), {
      timeoutMs: 120_000,
      gaveUp: () => (hasEnded ? 'it ended' : undefined),
    })
  } catch (error) {
    throw new Error(`${container.name}: ${(error as Error).message}\n${container.said()}`, { cause: error })
  }
  return container
}

/** There is no other way in than from within: the network has no device but loopback. */
const asking = `
const [url, init] = process.argv.slice(1)
const token = require('node:fs').readFileSync('/var/lib/keyturn/operator.token', 'utf8').trim()
const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json' }
fetch(url, { headers, ...JSON.parse(init) }).then(async (answer) => {
  process.stdout.write(JSON.stringify({ status: answer.status, body: await answer.json() }))
})`

function askFrom(container: Container): Topology['ask'] {
  return (port, path, init = {}) => {
    const url = `http://127.0.0.1:${port}${path}`
    const { code, out, err } = container.exec([
      '/usr/local/bin/node',
      '-e',
      asking,
      url,
      JSON.stringify(init),
    ])
    if (code !== 0) throw new Error(`${url}: ${err}`)
    return JSON.parse(out) as never
  }
}

export type HandOut = CredentialAnswer & Problem
export type Rotation = RotationSummary & Problem
