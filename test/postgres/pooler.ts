import { createServer, type Socket } from 'node:net'
import { Client } from 'pg'
import type { TestDatabase } from './database.ts'

export interface Pooler {
  readonly port: number
  close(): Promise<void>
}

interface Backend {
  readonly stream: Socket
  reader: ((frame: Buffer) => void) | undefined
}

/**
 * As much of a pooler as tells its modes apart: lets everybody in, and gives each client a backend for as long as its
 * session or its transaction lasts. Like pgbouncer it takes the backend that was free last, makes process ids up, and
 * drops what a backend says while nobody has it.
 */
export async function startPooler(database: TestDatabase, mode: 'session' | 'transaction'): Promise<Pooler> {
  const free: Backend[] = []
  const logins: Client[] = []
  const sockets = new Set<Socket>()

  async function takeBackend(): Promise<Backend> {
    const known = free.pop()
    if (known !== undefined) return known
    const { host, port, user, password } = database.address
    const login = new Client({ host, port, user, password, database: database.name })
    login.on('error', () => undefined)
    await login.connect()
    logins.push(login)
    const { stream } = (login as unknown as { connection: { stream: Socket } }).connection
    const backend: Backend = { stream, reader: undefined }
    stream.removeAllListeners('data')
    stream.on(
      'data',
      framesOf((frame) => backend.reader?.(frame)),
    )
    return backend
  }

  function serveClient(socket: Socket): void {
    let held: Promise<Backend> | undefined
    const release = (backend: Backend): void => {
      held = undefined
      backend.reader = undefined
      free.push(backend)
    }
    const pass = (frame: Buffer): void => {
      held ??= takeBackend()
      void held.then((backend) => {
        backend.reader = (answer) => {
          socket.write(answer)
          if (mode === 'transaction' && answer.toString('latin1', 0, 1) === 'Z' && answer[5] === idle)
            release(backend)
        }
        backend.stream.write(frame)
      })
    }
    const frames = framesOf((frame) => {
      if (frame.toString('latin1', 0, 1) !== 'X') pass(frame)
    })
    socket.once('data', () => {
      socket.write(welcome)
      socket.on('data', frames)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => void held?.then(release))
  }

  const server = createServer((socket) => {
    sockets.add(socket)
    serveClient(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    async close() {
      for (const socket of sockets) socket.destroy()
      for (const { stream } of free) stream.destroy()
      await Promise.all(logins.map((login) => login.end().catch(() => undefined)))
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const idle = 'I'.charCodeAt(0)

/** AuthenticationOk, a process id and a secret of nobody, and that it is ready. */
const welcome = Buffer.concat([
  Buffer.from([82, 0, 0, 0, 8, 0, 0, 0, 0]),
  Buffer.from([75, 0, 0, 0, 12, 127, 255, 255, 255, 1, 2, 3, 4]),
  Buffer.from([90, 0, 0, 0, 5, idle]),
])

/** Cuts what arrives into messages: a letter, a length that counts itself, and the rest. */
function framesOf(onFrame: (frame: Buffer) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0)
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
      const end = 1 + rest.readUInt32BE(1)
      const frame = rest.subarray(0, end)
      rest = rest.subarray(end)
      onFrame(frame)
    }
  }
}
