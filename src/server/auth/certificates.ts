import { hash } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { looksLikeKey } from '../../core/key-shape.ts'
import { partsGlob } from '../../core/patterns.ts'
import type { Cancel, System } from '../../core/ports.ts'
import { type Caller, createCaller } from './caller.ts'
import { shownName } from './names.ts'
import type { PolicyHolder } from './policy.ts'

/** Callers who show a client certificate that the server's TLS has verified up to a configured authority. */
export interface CertificateWay {
  authenticate(socket: Socket): Caller | undefined
  isLive(caller: Caller): boolean
  /** A connection begins; whether its certificate counts is judged by the authorities of now. */
  opened(socket: Socket): void
  /** The authorities changed: what they once signed has to be shown anew. */
  forget(): void
  onChange(listener: () => void): Cancel
}

interface Judged {
  readonly caller: Caller | undefined
  readonly generation: number
  readonly epoch: number
}

interface Life {
  readonly endsAt: number
  readonly generation: number
  readonly epoch: number
}

export interface CertificateNames {
  readonly uris: readonly string[]
  readonly dns: readonly string[]
  /** Only where there is no other name at all. */
  readonly cn: string | undefined
}

export function createCertificateWay(options: {
  readonly policy: PolicyHolder
  readonly system: Pick<System, 'now'>
}): CertificateWay {
  const { policy, system } = options
  const listeners = new Set<() => void>()
  /** Once per connection: its certificate does not change. */
  const judged = new WeakMap<Socket, Judged>()
  const lives = new WeakMap<Caller, Life>()
  /** The authorities under which a connection began, by its other end: TLS wraps it into another object later. */
  const epochs = new Map<string, number>()
  let epoch = 0

  const isLive = (caller: Caller): boolean => {
    const life = lives.get(caller)
    return (
      life !== undefined &&
      life.generation === policy.generation &&
      life.epoch === epoch &&
      system.now() < life.endsAt
    )
  }
  const judge = (socket: TLSSocket): Caller | undefined => {
    if (!socket.authorized) return undefined
    const shown = socket.getPeerCertificate()
    const endsAt = Date.parse(shown.valid_to ?? '')
    if (!(system.now() < endsAt)) return undefined
    const names = namesOf(shown)
    const found = names === undefined ? undefined : firstFit(names, policy)
    if (found === undefined) return undefined
    const id = `crt_${hash('sha256', shown.raw, 'hex').slice(0, 16)}`
    const caller = createCaller({ id, kind: 'certificate', ...found })
    lives.set(caller, { endsAt, generation: policy.generation, epoch })
    return caller
  }
  return {
    authenticate(socket) {
      if (policy.policy.certificates.length === 0 || !(socket instanceof TLSSocket)) return undefined
      // What an authority signed that is gone since does not count on connections from before either.
      if (epochs.get(endOf(socket)) !== epoch) return undefined
      const known = judged.get(socket)
      if (known?.generation === policy.generation && known.epoch === epoch)
        return known.caller === undefined || isLive(known.caller) ? known.caller : undefined
      const caller = judge(socket)
      judged.set(socket, { caller, generation: policy.generation, epoch })
      return caller
    },
    isLive,
    opened(socket) {
      const end = endOf(socket)
      epochs.set(end, epoch)
      socket.once('close', () => epochs.delete(end))
    },
    forget() {
      epoch += 1
      for (const listener of listeners) listener()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** Both ends: with several addresses of this machine, two connections can come from one port of the other. */
function endOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

function firstFit(names: CertificateNames, { policy }: PolicyHolder) {
  for (const { field, pattern, grants } of policy.certificates) {
    const fits = partsGlob(pattern)
    const candidates =
      field === 'uri' ? names.uris : field === 'dns' ? names.dns : names.cn === undefined ? [] : [names.cn]
    const name = candidates.find(fits)
    const shown = name === undefined ? undefined : shownName(name)
    if (shown !== undefined && !looksLikeKey(shown)) return { name: shown, grants }
  }
  return undefined
}

/**
 * The names of a certificate as Node tells them. Undefined where they cannot be told apart for certain: Node writes them
 * into one line, in which a name with a comma could pass for two, and quotes such (CVE-2021-44532).
 */
export function namesOf(shown: {
  readonly subjectaltname?: string
  readonly subject?: { readonly CN?: string | string[] }
}): CertificateNames | undefined {
  const { subjectaltname: line, subject } = shown
  if (line === undefined || line === '') {
    const cn: unknown = subject?.CN
    return { uris: [], dns: [], cn: typeof cn === 'string' && cn !== '' ? cn : undefined }
  }
  if (line.includes('"')) return undefined
  const uris: string[] = []
  const dns: string[] = []
  for (const part of line.split(', ')) {
    const colon = part.indexOf(':')
    const kind = part.slice(0, colon)
    const value = part.slice(colon + 1)
    if (colon < 0 || value === '') return undefined
    if (kind === 'URI') uris.push(value)
    // Names of hosts have no case.
    else if (kind === 'DNS') dns.push(value.toLowerCase())
  }
  return { uris, dns, cn: undefined }
}
