/**
 * Of an answer's headers these are not the caller's: those of one connection (RFC 9110, 7.6.1), cookies and rules that
 * the upstream sets for its own name, and what would let a page in a browser read the answer.
 */
const withheld: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'set-cookie',
  'set-cookie2',
  'alt-svc',
  'authentication-info',
  'clear-site-data',
  'nel',
  'report-to',
  'strict-transport-security',
  'www-authenticate',
])

export type UpstreamHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Names and values by turns, as `writeHead` takes them. A value that holds the key stays here. */
export function passedHeaders(headers: UpstreamHeaders, holdsKey: (value: string) => boolean): string[] {
  const passed: string[] = []
  const ofConnection = namedIn(headers['connection'])
  for (const name in headers) {
    if (withheld.has(name) || ofConnection.includes(name) || name.startsWith('access-control-')) continue
    const value = headers[name]
    if (typeof value === 'string') add(passed, name, value, holdsKey)
    else if (value !== undefined) for (const one of value) add(passed, name, one, holdsKey)
  }
  return passed
}

/** Headers that the upstream says are of its connection. */
function namedIn(connection: string | string[] | undefined): readonly string[] {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return none
  return String(connection)
    .toLowerCase()
    .split(/[\s,]+/)
}

const none: readonly string[] = []

function add(passed: string[], name: string, value: string, holdsKey: (value: string) => boolean): void {
  if (!holdsKey(value)) passed.push(name, value)
}

export function single(headers: UpstreamHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.[0]
}
