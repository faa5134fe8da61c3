import { connect, createServer, type Socket } from 'node:net'

export interface DroppingProxy {
  readonly port: number
  /** From now on nothing gets through, either way, and nobody is told: as behind a firewall that drops. */
  drop(): void
  /** What was held up is cut off; new connections get through again. */
  heal(): void
  /** Connections that are open, and that there were. */
  open(): number
  taken(): number
  close(): Promise<void>
}

/** Stands before a port of this machine. */
export async function startDroppingProxy(target: number): Promise<DroppingProxy> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let isDropping = false
  let taken = 0
  const server = createServer((inner) => {
    taken += 1
    const outer = connect(target, '127.0.0.1')
    const pair = [inner, outer] as const
    pairs.add(pair)
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      from.on('data', (chunk) => {
        if (!isDropping) to.write(chunk)
      })
      from.on('error', () => from.destroy())
      from.on('close', () => {
        if (isDropping) return
        to.destroy()
        pairs.delete(pair)
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const cut = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
    pairs.clear()
  }
  return {
    port: address.port,
    drop: () => void (isDropping = true),
    heal() {
      isDropping = false
      cut()
    },
    open: () => pairs.size,
    taken: () => taken,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      cut()
      await closed
    },
  }
}
