import { readdirSync, readFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { expect } from 'vitest'
import { realFiles } from '../../src/audit/files.ts'
import { thumbprint } from '../../src/audit/jwk.ts'
import { type Row, readRow } from '../../src/audit/row.ts'
import { verifyJournal } from '../../src/audit/verify-journal.ts'
import { readPublicKey } from '../../src/audit/verify-report.ts'
import { prepareRig, type Rig, until, untilReady } from './harness.ts'
import { spawnService } from './process.ts'

const readersEach = 16

/**
 * A real service under concurrent readers, killed with SIGKILL in the middle of it, again and again: each reply that left
 * has its row, by the id of its request, and the chain is whole.
 */
export async function killRepeatedly(
  kills: number,
): Promise<{ readonly acknowledged: number; readonly torn: number }> {
  const rig = await prepareRig()
  const acknowledged = new Set<string>()
  let handedOut = 0
  for (let kill = 0; kill < kills; kill += 1) {
    const service = await spawnService(rig)
    await untilReady(rig)
    const agent = new Agent({ keepAlive: true, maxSockets: 2 * readersEach })
    const goal = acknowledged.size + 50 + 37 * kill
    let isOver = false
    // By the application, whose replies have an id, and by the fast lane, whose replies are counted.
    const ask = async (path: string): Promise<void> => {
      while (!isOver) {
        const answer = await once(rig, path, agent)
        if (answer === undefined) return
        if (answer.id === undefined) handedOut += 1
        else acknowledged.add(answer.id)
        if (acknowledged.size < goal || isOver) continue
        isOver = true
        await service.kill()
      }
    }
    const path = '/v1/credentials/openai'
    await Promise.all(Array.from({ length: readersEach }, () => [ask(`${path}?wait=0`), ask(path)]).flat())
    agent.destroy()
    expect(service.isRunning()).toBe(false)
  }
  await spawnService(rig)
  await until(
    'it was sealed',
    () => rowsOf(rig).at(-1)?.action === 'head',
    (isSealed) => isSealed,
  )
  const rows = rowsOf(rig)
  const ids = new Set(rows.map(({ requestId }) => requestId))
  expect([...acknowledged].filter((id) => !ids.has(id))).toEqual([])
  expect(
    rows.filter(({ kind, requestId }) => kind === 'read' && requestId === undefined).length,
  ).toBeGreaterThanOrEqual(handedOut)
  expect(handedOut).toBeGreaterThan(0)
  expectIntact(rig)
  return {
    acknowledged: acknowledged.size + handedOut,
    torn: rows.filter(({ action }) => action === 'torn').length,
  }
}

/** Undefined where the service is gone, whole answers only. */
function once(
  rig: Rig,
  path: string,
  agent: Agent,
): Promise<{ readonly id: string | undefined } | undefined> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${rig.appToken()}` }
    get(`${rig.url}${path}`, { agent, headers }, (response) => {
      response.on('error', () => resolve(undefined))
      response.on('aborted', () => resolve(undefined))
      response.on('end', () => {
        const id = response.headers['x-request-id']
        resolve(response.statusCode === 200 ? { id: typeof id === 'string' ? id : undefined } : undefined)
      })
      response.resume()
    }).on('error', () => resolve(undefined))
  })
}

function journalFiles(rig: Rig): readonly string[] {
  const folder = join(rig.home, 'audit')
  const [journal = ''] = readdirSync(folder)
  return readdirSync(join(folder, journal))
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .map((name) => join(folder, journal, name))
}

export function rowsOf(rig: Rig): readonly Row[] {
  return journalFiles(rig)
    .flatMap((path) => readFileSync(path, 'utf8').split('\n'))
    .flatMap((line) => {
      const read = readRow(line)
      return read.kind === 'row' ? [read.row] : []
    })
}

export function expectIntact(rig: Rig): void {
  const jwk = readPublicKey(readFileSync(join(rig.home, 'signing-key.pub'), 'utf8'))
  const keyId = jwk === undefined ? '' : thumbprint(jwk)
  const found = verifyJournal({ files: realFiles, paths: journalFiles(rig), keyId })
  expect(found).toMatchObject({ kind: 'intact' })
}
