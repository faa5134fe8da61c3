import { isLoopbackHost } from '../../core/loopback.ts'

/** The proxy that programs take for an address. */
export interface ProxyInForce {
  /** Whose value counts. */
  readonly variable: string
  /** Those that are set as well, and do not count. */
  readonly overruled: readonly string[]
  /** With user and password, for the connection; undefined: the value is no address, or of a kind that is not spoken. */
  readonly url: string | undefined
  readonly isSocks: boolean
  /** `proxy.example.com:3128`, for people. */
  readonly shown: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** The first that is set counts, as in curl, httpx and Node (NODE_USE_ENV_PROXY): lower case before upper case. */
const names = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] as const

/** Undefined: the way is straight. Loopback is never gone to over a proxy, since a key in the clear would pass it. */
export function proxyInForce(env: Environment, target: URL): ProxyInForce | undefined {
  if (target.protocol !== 'https:' || isLoopbackHost(target.hostname)) return undefined
  const set = names.filter((name) => (env[name] ?? '').trim() !== '')
  const [variable] = set
  if (variable === undefined || isExempt(env, target)) return undefined
  const value = env[variable]?.trim() ?? ''
  const overruled = set.filter((name) => name !== variable && env[name]?.trim() !== value)
  return { variable, overruled, ...addressOf(value) }
}

function addressOf(value: string): Pick<ProxyInForce, 'url' | 'isSocks' | 'shown'> {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.hostname === '')
    return { url: undefined, isSocks: false, shown: 'no address at all' }
  const isSpoken = url.protocol === 'http:' || url.protocol === 'https:'
  return {
    url: isSpoken ? url.href : undefined,
    isSocks: url.protocol.startsWith('socks'),
    shown: `${isSpoken ? '' : url.protocol}${url.host}`.slice(0, 100),
  }
}

/** NO_PROXY as curl reads it: names with all below them, with a port or without, and `*`. */
function isExempt(env: Environment, target: URL): boolean {
  const list = (env['no_proxy'] ?? env['NO_PROXY'] ?? '').toLowerCase()
  const port = target.port === '' ? '443' : target.port
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true
      const [, name = '', wanted] = /^\*?\.?(.+?)(?::(\d+))?$/.exec(entry) ?? []
      if (wanted !== undefined && wanted !== port) return false
      return target.hostname === name || target.hostname.endsWith(`.${name}`)
    })
}
