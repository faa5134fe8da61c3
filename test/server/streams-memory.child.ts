import { join } from 'node:path'
import { createServer } from '../../src/server/server.ts'
import { openTokenStore } from '../../src/server/tokens.ts'
import { createSystem } from '../../src/system.ts'
import { createFakeService } from './fake-service.ts'
import { signerIn } from './harness.ts'

/** A server in a process of its own, in the folder that is given to it, so that its memory can be told from that of its clients. */
const system = createSystem()
const log = () => undefined
const [, , folder = ''] = process.argv
const tokens = await openTokenStore({ path: join(folder, 'tokens.json'), system, log })
const { token } = await tokens.create({ name: 'web', role: 'app', credentials: ['openai'] })
const service = createFakeService()
const server = await createServer({
  service,
  tokens,
  signer: signerIn(folder),
  listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  log,
  system,
  version: '0.0.0',
  isSandbox: true,
})
process.send?.({ port: server.port, token })
process.on('message', (message) => {
  if (message === 'tell') service.emit({ credential: 'openai', kind: 'promoted' })
  else {
    for (let round = 0; round < 4; round += 1) globalThis.gc?.()
    process.send?.({ bytes: process.memoryUsage().rss })
  }
})
