import type { ListenConfig } from './types.ts'

export const defaultListen = '127.0.0.1:7420'

/** What a listen address looks like, for messages. */
export const listenShape = "an address such as '127.0.0.1:7420', '[::1]:7420' or 'unix:/run/keyturn.sock'"

const tcpPattern = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/

/**
 * `host:port`, `[v6]:port` or `unix:PATH`; undefined where it is none of them. Port 0 lets the system choose. A relative
 * socket path is resolved by `resolve`.
 */
export function parseListen(text: string, resolve: (path: string) => string): ListenConfig | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    return path === '' ? undefined : { kind: 'unix', path: resolve(path) }
  }
  const match = tcpPattern.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) return undefined
  return { kind: 'tcp', host, port }
}

/** Whether only this machine can reach the host: `localhost`, 127.0.0.0/8 and ::1. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase()
  return bare === 'localhost' || bare === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare)
}
