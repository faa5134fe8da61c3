/**
 * What of a request's headers matters, found in one walk over them as they came. What goes upstream is a list of names,
 * not whatever is left: a header that nobody thought of may hold a secret of the caller.
 */
export interface RequestHead {
  readonly host: string | undefined
  readonly authorization: string | undefined
  /** `Keyturn-Credential`: which credential is wanted. */
  readonly credential: string | undefined
  readonly contentLength: string | undefined
  readonly transferCoding: string | undefined
  readonly isFromBrowser: boolean
  readonly isUpgrade: boolean
  /** One that must be there once is there twice. */
  readonly repeated: string | undefined
  /** Names and values by turns, to be sent on. */
  readonly forwarded: string[]
}

type Meaning = 'host' | 'authorization' | 'credential' | 'length' | 'coding' | 'browser' | 'upgrade' | 'on'

const meanings: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['host', 'host'],
  ['authorization', 'authorization'],
  ['keyturn-credential', 'credential'],
  ['content-length', 'length'],
  ['transfer-encoding', 'coding'],
  ['origin', 'browser'],
  // Of a browser alone: Node's fetch sends sec-fetch-mode, and none of these.
  ['sec-fetch-site', 'browser'],
  ['sec-fetch-dest', 'browser'],
  ['sec-fetch-user', 'browser'],
  ['upgrade', 'upgrade'],
  ['accept', 'on'],
  ['accept-encoding', 'on'],
  ['accept-language', 'on'],
  ['content-encoding', 'on'],
  ['content-type', 'on'],
  ['idempotency-key', 'on'],
  ['if-none-match', 'on'],
  ['range', 'on'],
  ['user-agent', 'on'],
  ['x-client-request-id', 'on'],
])

/** The credential's own are sent in their place. */
const ours: readonly string[] = ['openai-organization', 'openai-project']

function meaningOf(name: string): Meaning | undefined {
  const known = meanings.get(name)
  if (known !== undefined) return known
  const isOfApi = name.startsWith('x-stainless-') || (name.startsWith('openai-') && !ours.includes(name))
  return isOfApi ? 'on' : undefined
}

export function readHead(raw: readonly string[]): RequestHead {
  const once = new Map<Meaning, string>()
  const forwarded: string[] = []
  let repeated: string | undefined
  let isFromBrowser = false
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase()
    const value = raw[index + 1] ?? ''
    const meaning = meaningOf(name)
    if (meaning === undefined) continue
    if (meaning === 'on') forwarded.push(name, value)
    else if (meaning === 'browser') isFromBrowser = true
    else if (once.has(meaning)) repeated = name
    else once.set(meaning, value)
  }
  return {
    host: once.get('host'),
    authorization: once.get('authorization'),
    credential: once.get('credential'),
    contentLength: once.get('length'),
    transferCoding: once.get('coding'),
    isFromBrowser,
    isUpgrade: /websocket/i.test(once.get('upgrade') ?? ''),
    repeated,
    forwarded,
  }
}
