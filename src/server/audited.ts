import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Audit, AuditCaller, AuditEntry } from '../core/ports.ts'
import type { HandOut } from '../engine/service.ts'
import type { Caller } from './auth/caller.ts'
import type { Sources } from './forwarded.ts'
import type { Visitor } from './visitors.ts'

/** What of a request goes into its rows. */
export interface Asked {
  readonly action: string
  readonly caller: Caller | undefined
  /** A name that is configured; others are what somebody made up. */
  readonly credential?: string
  readonly version?: string
  /** Of an act: the rotation, token, approval or instance that it concerns. */
  readonly about?: string
  /** Something that an app may do as often as it likes. */
  readonly isRepeatable?: boolean
  readonly requestId?: string
  readonly raw: IncomingMessage
}

/** The server's side of the audit: what it says of each request. Undefined: there is nothing to wait for. */
export interface Audited {
  /** A secret is about to leave. */
  handOut(handOut: HandOut, asked: Omit<Asked, 'action' | 'credential'>): Promise<void> | undefined
  /** The same in the fast lane. */
  visit(handOut: HandOut, visitor: Visitor): Promise<void> | undefined
  /** Something is about to be done, or was. */
  act(asked: Asked, outcome: 'asked' | 'done'): Promise<void> | undefined
  refusal(
    asked: Asked,
    refused: { readonly code: string; readonly status: number },
  ): Promise<void> | undefined
  /** What never became a request; nobody waits, since nothing was asked for. */
  unreadable(socket: Duplex, refused: { readonly code: string; readonly status: number }): void
}

const nothing: Audited = {
  handOut: () => undefined,
  visit: () => undefined,
  act: () => undefined,
  refusal: () => undefined,
  unreadable: () => undefined,
}

/** Per hand-out; above it they are made anew. */
const entriesMax = 2_000

export function createAudited(options: {
  readonly audit: Audit | undefined
  /** Where refusals, and what apps may do as often as they like, are counted together. Default: the audit itself. */
  readonly repeats?: Audit
  readonly sources: Sources
}): Audited {
  const { audit, sources } = options
  if (audit === undefined) return nothing
  const repeats = options.repeats ?? audit
  /** The same object for the same caller at the same address: it is made into text once. */
  const entries = new WeakMap<HandOut, Map<string, AuditEntry>>()
  const sourceOf = (raw: IncomingMessage): string => {
    const source = sources.of(raw)
    return 'address' in source ? source.address : (raw.socket.remoteAddress ?? '')
  }
  const entryFor = (handOut: HandOut, caller: Caller, source: string): AuditEntry => {
    let known = entries.get(handOut)
    if (known === undefined || known.size >= entriesMax) entries.set(handOut, (known = new Map()))
    const key = `${caller.id} ${source}`
    let entry = known.get(key)
    if (entry === undefined) known.set(key, (entry = readEntry(handOut, caller, source)))
    return entry
  }
  return {
    handOut(handOut, { caller, requestId, raw }) {
      if (caller === undefined) return undefined
      const entry = entryFor(handOut, caller, sourceOf(raw))
      return audit.record(requestId === undefined ? entry : { ...entry, requestId })
    },
    visit(handOut, visitor) {
      if (visitor.row?.handOut !== handOut)
        visitor.row = { handOut, entry: entryFor(handOut, visitor.caller, visitor.source) }
      return audit.record(visitor.row.entry)
    },
    act(asked, outcome) {
      const isRepeatable = asked.isRepeatable === true
      if (isRepeatable && outcome === 'done') return undefined
      return (isRepeatable ? repeats : audit).record({
        kind: 'act',
        outcome,
        ...common(asked, sourceOf),
        ...(asked.about === undefined ? {} : { reason: asked.about }),
      })
    },
    refusal: (asked, { code, status }) =>
      repeats.record({
        kind: 'refusal',
        outcome: code,
        ...common(asked, sourceOf),
        reason: String(status),
      }),
    unreadable(socket, { code, status }) {
      const source = 'remoteAddress' in socket ? socket.remoteAddress : undefined
      repeats
        .record({
          kind: 'refusal',
          action: 'none',
          outcome: code,
          caller: callerOf(undefined),
          reason: String(status),
          ...(typeof source === 'string' ? { source } : {}),
        })
        ?.catch(() => undefined)
    },
  }
}

function readEntry(handOut: HandOut, caller: Caller, source: string): AuditEntry {
  const { name, version, fingerprint, generation } = handOut
  return {
    kind: 'read',
    action: 'getCredential',
    outcome: 'done',
    caller: callerOf(caller),
    credential: name,
    version,
    fingerprint,
    generation,
    source,
  }
}

function common(
  { action, caller, credential, version, requestId, raw }: Asked,
  sourceOf: (raw: IncomingMessage) => string,
): Pick<AuditEntry, 'action' | 'caller' | 'credential' | 'version' | 'requestId' | 'source'> {
  return {
    action,
    caller: callerOf(caller),
    ...(credential === undefined ? {} : { credential }),
    ...(version === undefined ? {} : { version }),
    ...(requestId === undefined ? {} : { requestId }),
    source: sourceOf(raw),
  }
}

function callerOf(caller: Caller | undefined): AuditCaller {
  return caller === undefined
    ? { id: '', name: 'nobody', kind: 'nobody' }
    : { id: caller.id, name: caller.name, kind: caller.kind }
}
