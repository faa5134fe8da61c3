import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { bearer, openStream, startServer, until } from './harness.ts'

const streamsCount = 1_000

it('holds 1,000 event streams, tells all of them, and stays small', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-streams-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const child = fork(fileURLToPath(new URL('./streams-memory.child.ts', import.meta.url)), [folder], {
    execArgv: ['--expose-gc', '--no-warnings'],
  })
  onTestFinished(async () => {
    const ended = once(child, 'exit')
    child.kill()
    await ended
  })
  const next = () => new Promise<Record<string, unknown>>((resolve) => child.once('message', resolve))
  const { port, token } = await next()
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  const texts: string[] = []
  const open = () =>
    new Promise<IncomingMessage>((resolve, reject) => {
      get(
        { agent, port: Number(port), path: '/v1/credentials/openai/events', headers: bearer(String(token)) },
        resolve,
      ).on('error', reject)
    })
  // One stream first, so that what is loaded once is not counted per stream.
  const responses = [await open()]
  const measure = async () => {
    child.send('measure')
    return Number((await next())['bytes'])
  }
  const before = await measure()
  while (responses.length <= streamsCount)
    responses.push(...(await Promise.all(Array.from({ length: 100 }, open))))
  responses.forEach((response, index) => {
    texts[index] = ''
    response.on('data', (chunk: Buffer) => {
      texts[index] += chunk.toString()
    })
    response.on('error', () => undefined)
  })
  await until(() => texts.every((text) => text.includes('event: hello')))
  const perStream = ((await measure()) - before) / streamsCount
  process.stdout.write(
    `idle event stream: ${(perStream / 1_024).toFixed(1)} KiB each, of ${responses.length}\n`,
  )
  child.send('tell')
  await until(() => texts.every((text) => text.includes('event: promoted')))
  // A wide margin: this guards against a leak of whole objects per stream; docs/performance.md has the figure.
  expect(perStream).toBeLessThan(64 * 1_024)
  agent.destroy()
}, 60_000)

it('lets go of a stream whose client went away', async () => {
  const harness = await startServer()
  const stream = await openStream(harness)
  await stream.received(1)
  stream.close()
  let text = ''
  while (!text.includes('keyturn_event_streams 0'))
    text = await (await harness.send('GET', '/metrics')).text()
  expect(text).toContain('keyturn_event_streams 0')
})
