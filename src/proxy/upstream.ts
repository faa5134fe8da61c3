import type { Dispatcher } from 'undici'
import { isProtected } from '../client/address.ts'
import type { OpenAICredential } from '../client/types.ts'
import type { ProxyLimits } from './limits.ts'

/** Where requests may go: one base URL, or wherever the service says that a credential is for. */
export type UpstreamChoice = URL | 'service'

/** A credential made ready for the wire, once for each key. */
export interface Target {
  readonly pool: Pick<Dispatcher, 'dispatch'>
  readonly origin: string
  /** Of the base URL, without a slash at its end. */
  readonly basePath: string
  /** The key, the organisation and the project, as headers by turns. */
  readonly headers: readonly string[]
}

export type WayTo = (upstream: URL) => string | undefined

export interface Upstreams {
  /** Undefined where the key of this credential is for somewhere else. */
  target(credential: OpenAICredential): Target | undefined
  close(): Promise<void>
}

/** Origins that the service may name in one life of the proxy. */
const originsMax = 16

/**
 * Connections to the upstream, kept and used again. undici, Node's own HTTP client: for each request it takes half of
 * what `node:http` takes, and its pieces come one by one with a say in when the next one may.
 */
export async function openUpstreams(options: {
  readonly choice: UpstreamChoice
  /** The proxy for outgoing traffic that leads there, as a URL; undefined: the way is straight. */
  readonly wayTo: WayTo
  readonly limits: Pick<
    ProxyLimits,
    'requestsMax' | 'connectTimeoutMs' | 'upstreamTimeoutMs' | 'keepAliveMs' | 'headerBytesMax'
  >
}): Promise<Upstreams> {
  const { choice, wayTo, limits } = options
  const { Pool, ProxyAgent } = await import('undici')
  const pools = new Map<string, Dispatcher>()
  const targets = new WeakMap<OpenAICredential, Target>()
  const poolOf = (base: URL): Dispatcher | undefined => {
    const { origin } = base
    const known = pools.get(origin)
    if (known !== undefined || pools.size >= originsMax) return known
    const settings = {
      connections: limits.requestsMax,
      pipelining: 1,
      allowH2: false,
      connectTimeout: limits.connectTimeoutMs,
      headersTimeout: limits.upstreamTimeoutMs,
      bodyTimeout: limits.upstreamTimeoutMs,
      keepAliveTimeout: limits.keepAliveMs,
      maxHeaderSize: limits.headerBytesMax,
    }
    const uri = wayTo(base)
    // It tunnels: what stands on the way sees where to, and not the key.
    const pool = uri === undefined ? new Pool(origin, settings) : new ProxyAgent({ uri, ...settings })
    pools.set(origin, pool)
    return pool
  }
  return {
    target(credential) {
      const known = targets.get(credential)
      if (known !== undefined) return known
      const own = new URL(credential.baseUrl)
      const base = choice === 'service' ? own : choice
      if (base.origin !== own.origin || !isProtected(base)) return undefined
      const pool = poolOf(base)
      if (pool === undefined) return undefined
      const { apiKey, organization, project } = credential
      const target: Target = {
        pool,
        origin: base.origin,
        basePath: base.pathname.replace(/\/+$/, ''),
        headers: [
          'authorization',
          `Bearer ${apiKey}`,
          ...(organization === null ? [] : ['openai-organization', organization]),
          ...(project === null ? [] : ['openai-project', project]),
        ],
      }
      targets.set(credential, target)
      return target
    },
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()))
    },
  }
}
