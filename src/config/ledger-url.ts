import { isLoopback } from './listen.ts'

/** Where a PostgreSQL is, out of a URL. */
export interface LedgerAddress {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password?: string
}

/** Undefined where it is none, or says something that would be ignored. */
export function parseLedgerUrl(candidate: string): LedgerAddress | undefined {
  const isUrl = /^postgres(?:ql)?:\/\/[^/@]+@/.test(candidate)
  // Without a host, which a socket has none of, the standard's reader refuses it.
  const complete = candidate.replace(/^(postgres(?:ql)?:\/\/[^/@]+@)\//, '$1socket.invalid/')
  if (!isUrl || !URL.canParse(complete)) return undefined
  const url = new URL(complete)
  const folder = url.searchParams.get('host')
  const isSocket = url.hostname === 'socket.invalid'
  const isPlain = url.hash === '' && [...url.searchParams.keys()].every((key) => key === 'host' && isSocket)
  const database = decoded(url.pathname.slice(1))
  const user = decoded(url.username)
  const password = decoded(url.password)
  const isWhole = database !== undefined && database !== '' && !database.includes('/') && user !== undefined
  if (!isPlain || !isWhole || password === undefined || (isSocket && folder?.startsWith('/') !== true))
    return undefined
  return {
    host: isSocket ? (folder ?? '') : url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 5432 : Number(url.port),
    database,
    user,
    ...(password === '' ? {} : { password }),
  }
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** Whether nobody but this machine sees what goes over the connection. */
export function isOnThisMachine(host: string): boolean {
  return host.startsWith('/') || isLoopback(host)
}
