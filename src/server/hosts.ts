import { isIP } from 'node:net'

/** The same few names come again and again; what is beyond is decided afresh. */
const rememberedMax = 64

/**
 * Which `Host` headers are answered. A page in a browser can make its own name resolve to this machine (DNS rebinding)
 * and would then be same-origin with us; it cannot choose what the browser writes into Host. So only names that no
 * stranger can own are answered: loopback, the address we listen on, and those the configuration lists.
 */
export interface Hosts {
  /** `localAddress` is where the connection arrived; it counts where we listen on every address. */
  allows(header: string, localAddress: string | undefined): boolean
}

export interface HostsOptions {
  /** The host of the configuration; undefined for a Unix socket, which no browser can reach: every name is allowed. */
  readonly listenHost: string | undefined
  readonly allowedHosts: readonly string[]
}

export function createHosts(options: HostsOptions): Hosts {
  const { listenHost } = options
  if (listenHost === undefined) return { allows: () => true }
  const names = new Set([listenHost, ...options.allowedHosts].map(bareHost))
  const isWildcard = names.has('0.0.0.0') || names.has('::')
  const remembered = new Set<string>()
  const decide = (host: string) => isLoopbackName(host) || names.has(host)
  return {
    allows(header, localAddress) {
      if (remembered.has(header)) return true
      const host = hostOf(header)
      const isAllowed = host !== undefined && decide(host)
      if (isAllowed && remembered.size < rememberedMax) remembered.add(header)
      return isAllowed || (isWildcard && host !== undefined && host === plainAddress(localAddress))
    },
  }
}

/** The host of a Host header without its port, lower case, brackets and root dot off; undefined where it is malformed. */
function hostOf(header: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::\d{1,5})?$/i.exec(header)
  if (match === null) return undefined
  if (match[1] !== undefined) return isIP(match[1]) === 6 ? bareHost(match[1]) : undefined
  return match[2] === undefined ? undefined : bareHost(match[2])
}

function bareHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
}

function isLoopbackName(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost') || host === '::1') return true
  return host.startsWith('127.') && isIP(host) === 4
}

function plainAddress(address: string | undefined): string | undefined {
  return address?.replace(/^::ffff:/, '').replace(/%.*$/, '')
}
