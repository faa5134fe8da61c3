// Very many event streams of one client machine, which look at what comes just far enough to know what it is.
import { connect, type Socket } from 'node:net'

interface Order {
  readonly kind: 'open' | 'drop' | 'told'
  readonly host?: string
  readonly port?: number
  readonly request?: string
  readonly count?: number
  /** `told`: the event that all have to hear of. */
  readonly event?: string
}

const connectingMax = 256
const sockets = new Set<Socket>()
let onChunk: (socket: Socket, chunk: Buffer) => void = () => undefined

process.on('message', (order: Order) => {
  carryOut(order).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : 'the listeners failed'}\n`)
      process.exit(1)
    },
  )
})

async function carryOut(order: Order): Promise<object> {
  if (order.kind === 'open') return open(order)
  if (order.kind === 'told') return told(order)
  const dropped = [...sockets].slice(0, order.count)
  for (const socket of dropped) socket.destroy()
  return { dropped: dropped.length }
}

async function open({ host = '', port = 0, request = '', count = 0 }: Order): Promise<object> {
  const bytes = Buffer.from(request)
  const startAt = performance.now()
  let left = count
  let begun = 0
  await new Promise<void>((resolve, reject) => {
    const begin = (): void => {
      begun += 1
      const socket = connect({ host, port, noDelay: true })
      sockets.add(socket)
      let isGreeted = false
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        if (isGreeted) return onChunk(socket, chunk)
        text += chunk.toString('latin1')
        if (!text.includes('event: hello')) {
          if (!text.startsWith('HTTP/1.1 200') && text.length > 12) reject(new Error(text.slice(0, 60)))
          return
        }
        isGreeted = true
        text = ''
        left -= 1
        if (begun < count) begin()
        if (left === 0) resolve()
      })
      socket.on('error', (error) => (isGreeted ? undefined : reject(error)))
      socket.on('close', () => sockets.delete(socket))
      socket.write(bytes)
    }
    for (let one = 0; one < Math.min(connectingMax, count); one += 1) begin()
  })
  return { ms: performance.now() - startAt, open: sockets.size }
}

/** Answers twice: that it listens, and when the last of all has heard. */
async function told({ event = '' }: Order): Promise<object> {
  const wanted = Buffer.from(`event: ${event}`)
  const waiting = new Set(sockets)
  const all = waiting.size
  let firstAt = 0
  const heard = new Promise<number>((resolve) => {
    onChunk = (socket, chunk) => {
      if (!waiting.has(socket) || !chunk.includes(wanted)) return
      waiting.delete(socket)
      if (firstAt === 0) firstAt = now()
      if (waiting.size === 0) resolve(now())
    }
  })
  process.send?.({ listening: all })
  const lastAt = await heard
  return { firstAt, lastAt, all }
}

/** Epoch milliseconds with fractions, comparable between processes of one machine. */
function now(): number {
  return performance.timeOrigin + performance.now()
}
