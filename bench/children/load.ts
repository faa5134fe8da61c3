// Many keep-alive connections that each ask again as soon as they were answered. Requests are bytes made once and
// answers are looked at just far enough to know where they end, since a slow generator would hide the server.
import { connect, type Socket } from 'node:net'

interface Order {
  readonly to: { readonly host: string; readonly port: number } | { readonly path: string }
  readonly request: string
  readonly connections: number
  readonly ms: number
}

const samplesMax = 2_000_000
const headEnd = Buffer.from('\r\n\r\n')

process.on('message', (order: Order) => {
  run(order).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : 'the load failed'}\n`)
      process.exit(1)
    },
  )
})

async function run(order: Order): Promise<object> {
  const latencies = new Float64Array(samplesMax)
  const request = Buffer.from(order.request, 'latin1')
  const sockets = await Promise.all(Array.from({ length: order.connections }, () => open(order)))
  let count = 0
  const startAt = performance.now()
  const endAt = startAt + order.ms
  await Promise.all(
    sockets.map((socket) =>
      drive(socket, request, endAt, (latencyMs) => {
        if (count < samplesMax) latencies[count] = latencyMs
        count += 1
      }),
    ),
  )
  const seconds = (performance.now() - startAt) / 1_000
  for (const socket of sockets) socket.destroy()
  const sorted = latencies.subarray(0, Math.min(count, samplesMax)).sort()
  const at = (part: number): number => sorted[Math.floor(part * sorted.length)] ?? Number.NaN
  return { perSecond: count / seconds, p50Ms: at(0.5), p99Ms: at(0.99) }
}

function open({ to }: Order): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...to, noDelay: true }, () => resolve(socket))
    socket.once('error', reject)
  })
}

function drive(
  socket: Socket,
  request: Buffer,
  endAt: number,
  onAnswer: (latencyMs: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentAt = performance.now()
    let rest: Buffer | undefined
    socket.on('data', (chunk: Buffer) => {
      const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
      const size = answerSize(bytes)
      if (size === undefined || size > bytes.length) {
        rest = bytes
        return
      }
      rest = undefined
      if (size < bytes.length || bytes.toString('latin1', 9, 12) !== '200') {
        reject(new Error(`an unexpected answer: ${bytes.toString('latin1', 0, 12)}`))
        return
      }
      const now = performance.now()
      onAnswer(now - sentAt)
      if (now >= endAt) return resolve()
      sentAt = now
      socket.write(request)
    })
    socket.once('close', () => reject(new Error('a connection was closed')))
    socket.write(request)
  })
}

let knownHead = 0
let knownSize = 0

/** Head and body. Answers in a row are mostly of one size, so the length is read again only where head or whole differ. */
function answerSize(bytes: Buffer): number | undefined {
  const head = bytes.indexOf(headEnd)
  if (head < 0) return undefined
  if (head !== knownHead || bytes.length !== knownSize) {
    const length = /content-length: (\d+)/i.exec(bytes.toString('latin1', 0, head))?.[1]
    knownHead = head
    knownSize = head + headEnd.length + Number(length ?? 0)
  }
  return knownSize
}
