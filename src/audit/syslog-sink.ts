import { createSocket } from 'node:dgram'
import { createConnection, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { readRow } from './row.ts'
import type { Sink } from './sink.ts'

export interface SyslogOptions {
  /** `udp://host:port`, `tcp://host:port` or `unix:/path` (a stream socket). */
  readonly address: string
  readonly timeoutMs?: number
}

/** Facility 13, log audit; severity informational, and warning for refusals (RFC 5424, 6.2.1). */
const facility = 13
const severity = { informational: 6, warning: 4 }
const timeoutMsDefault = 5_000
/** What a datagram carries anywhere; a row is far shorter. */
const datagramBytesMax = 8_192

/**
 * Rows as RFC 5424 messages, octet-counted on streams (RFC 6587, 3.4.1). Syslog answers nothing: what was sent may be lost, so
 * no reply relies on it.
 */
export function createSyslogSink(options: SyslogOptions): Sink {
  const target = targetOf(options.address)
  const host = nameOf(hostname())
  let stream: Socket | undefined
  const connect = async (): Promise<Socket> => {
    if (stream !== undefined && !stream.destroyed && stream.writable) return stream
    stream = await connected(target, options.timeoutMs ?? timeoutMsDefault)
    return stream
  }
  return {
    name: options.address,
    isConfirming: false,
    async write({ text }) {
      const messages = text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => messageOf(line, host))
      if (target.kind === 'udp') return sendAll(target, messages)
      const socket = await connect()
      const frames = messages.map((message) => `${Buffer.byteLength(message)} ${message}`).join('')
      await new Promise<void>((resolve, reject) => {
        const fail = (error: Error): void => reject(error)
        socket.once('error', fail)
        socket.write(frames, (error) => {
          socket.off('error', fail)
          if (error === undefined || error === null) resolve()
          else reject(error)
        })
      })
    },
    async close() {
      stream?.end()
    },
  }
}

export function messageOf(line: string, host: string): string {
  const read = readRow(line)
  const { at, kind } = read.kind === 'row' ? read.row : { at: '-', kind: 'journal' }
  const level = kind === 'refusal' ? severity.warning : severity.informational
  return `<${facility * 8 + level}>1 ${at} ${host} keyturn - ${kind} - ${line}`
}

type Target =
  | { readonly kind: 'udp' | 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

function targetOf(address: string): Target {
  if (address.startsWith('unix:')) return { kind: 'unix', path: address.slice('unix:'.length) }
  const match = /^(udp|tcp):\/\/\[?(.+?)\]?:(\d+)$/.exec(address)
  return {
    kind: match?.[1] === 'tcp' ? 'tcp' : 'udp',
    host: match?.[2] ?? '',
    port: Number(match?.[3] ?? 514),
  }
}

function connected(target: Target, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      target.kind === 'unix'
        ? createConnection({ path: target.path, timeout: timeoutMs })
        : createConnection({ host: target.host, port: target.port, timeout: timeoutMs })
    const late = (): void => void socket.destroy(new Error('syslog did not answer in time'))
    socket.once('timeout', late)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('timeout', late)
      socket.off('error', reject)
      // What breaks later shows at the next write.
      socket.on('error', () => socket.destroy())
      socket.unref()
      resolve(socket)
    })
    socket.resume()
  })
}

function sendAll(
  target: Target & { readonly host: string; readonly port: number },
  messages: readonly string[],
): Promise<void> {
  const socket = createSocket(target.host.includes(':') ? 'udp6' : 'udp4')
  const send = (message: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const bytes = Buffer.from(message).subarray(0, datagramBytesMax)
      socket.send(bytes, target.port, target.host, (error) => (error === null ? resolve() : reject(error)))
    })
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    const all = async (): Promise<void> => {
      for (const message of messages) await send(message)
    }
    all().then(resolve, reject)
  }).finally(() => socket.close()) as Promise<void>
}

/** A field of the header holds printable ASCII without spaces. */
function nameOf(text: string): string {
  return text.replaceAll(/[^\x21-\x7e]/g, '').slice(0, 255) || '-'
}
