import { createServer, type Server } from 'node:http'
import { expect, it } from 'vitest'
import { freePort } from '../free-port.ts'
import { killRepeatedly } from './audit-kills.ts'
import { prepareRig, until, untilReady } from './harness.ts'
import { serveRig } from './in-process.ts'

it('killed under load: no reply left without its row', async () => {
  const { acknowledged } = await killRepeatedly(2)
  expect(acknowledged).toBeGreaterThan(100)
}, 60_000)

it('with no place that takes rows nothing is handed out, and the answer says why; with one again it goes on', async () => {
  const port = await freePort()
  const sinks = `[{ webhook: "http://127.0.0.1:${port}/" }]`
  const rig = await prepareRig({ audit: `{ wait: 300ms, sinks: ${sinks}, heads: [] }` })
  const rows: string[] = []
  const start = async (): Promise<Server> => {
    const server = createServer((request, response) => {
      request.setEncoding('utf8')
      request.on('data', (text: string) => rows.push(text))
      request.on('end', () => response.writeHead(204).end())
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    return server
  }
  const stop = (server: Server): Promise<unknown> => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  const first = await start()
  await serveRig(rig)
  await untilReady(rig)
  const ask = () =>
    fetch(`${rig.url}/v1/credentials/openai`, { headers: { authorization: `Bearer ${rig.appToken()}` } })
  await until(
    'it is handed out',
    async () => (await ask()).status,
    // A row that the webhook confirmed too late on a busy machine is a reply that was refused.
    (status) => status === 200,
  )
  await stop(first)
  const refused = await ask()
  expect(refused.status).toBe(503)
  expect(await refused.json()).toMatchObject({ code: 'audit_unavailable' })
  // Who is ready says so still: what fails is the audit, and it is told.
  expect((await fetch(`${rig.url}/healthz`)).status).toBe(200)
  const second = await start()
  await until(
    'it hands out again',
    async () => (await ask()).status,
    (status) => status === 200,
  )
  const said = (action: string): boolean => rows.join('').includes(`"action":"${action}"`)
  await until(
    'the rows of the replies that were refused are named',
    async () => said('getCredential') && said('late'),
    (isSaid) => isSaid,
  )
  await stop(second)
}, 60_000)
