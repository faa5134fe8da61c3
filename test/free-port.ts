import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/**
 * Whoever connects, or listens on port 0, gets a port above 32767 from the system (Linux; above 49151 elsewhere), drawn at random
 * from some 7,000: one of those could be gone again before it is used, where several files are tested at once. Ports from here are
 * given to nobody by the system.
 */
const firstPort = 20_000
const blocks = 200
const portsOfBlock = 50

let block: Promise<number> | undefined
let used = 0

/**
 * A port of this machine on which nobody listens, and that no other process of tests is given while this one lives: each has a
 * block of ports, and keeps the first of it open, so that the kernel says whose it is and knows when it is nobody's any more.
 */
export async function freePort(): Promise<number> {
  block ??= claimBlock()
  const first = await block
  for (let tries = 1; tries < portsOfBlock; tries += 1) {
    used = (used % (portsOfBlock - 1)) + 1
    const port = first + used
    const server = await listening(port)
    if (server === undefined) continue
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error(`no port is free from ${first} on`)
}

async function claimBlock(): Promise<number> {
  const from = randomInt(blocks)
  for (let tries = 0; tries < blocks; tries += 1) {
    const first = firstPort + ((from + tries) % blocks) * portsOfBlock
    const server = await listening(first)
    if (server === undefined) continue
    server.unref()
    return first
  }
  throw new Error(`no block of ports is free from ${firstPort} on`)
}

/** Undefined where somebody else listens. */
function listening(port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined)
      else reject(error)
    })
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}
