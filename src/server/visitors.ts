import type { Socket } from 'node:net'
import type { AuditEntry } from '../core/ports.ts'
import type { HandOut } from '../engine/service.ts'
import type { AppCount, Apps } from './apps.ts'
import { type Authenticator, isPending, isUnjudged } from './auth/authenticator.ts'
import type { Caller } from './auth/caller.ts'
import { unixSource } from './forwarded.ts'
import type { Hosts } from './hosts.ts'
import type { CoarseClock } from './ticker.ts'

/** Who asks over a connection, as its last request showed. */
export interface Visitor {
  readonly caller: Caller
  /** The other end of the connection. */
  readonly source: string
  /** Where its hand-outs are counted. */
  readonly app: AppCount
  /** The row of the last hand-out, which mostly is that of the next one too; the audit's own. */
  row: { readonly handOut: HandOut; readonly entry: AuditEntry } | undefined
}

export interface Shown {
  readonly host: string
  readonly authorization: string | undefined
}

export interface Visitors {
  /** Undefined for whoever has to be looked at longer, or is nobody. */
  admit(socket: Socket, shown: Shown): Visitor | undefined
  close(): void
}

interface Remembered extends Shown, Visitor {
  readonly at: number
  readonly epoch: number
}

const remembered = Symbol('visitor')

type Connection = Socket & { [remembered]?: Remembered }

/**
 * Connections are kept, and a request shows mostly what the one before it on the same connection showed: then host and token
 * are compared with those instead of being judged anew. For one tick of the coarse clock at most, and for no longer than
 * nothing changes: any change of tokens, rules or certificates ends it at once, and whether the caller is still live, an
 * expiry among it, is asked each time.
 */
export function createVisitors(options: {
  readonly auth: Authenticator
  readonly hosts: Hosts
  readonly clock: Pick<CoarseClock, 'now'>
  readonly apps: Pick<Apps, 'of'>
}): Visitors {
  const { auth, hosts, clock, apps } = options
  let epoch = 0
  const close = auth.onChange(() => {
    epoch += 1
  })
  return {
    admit(socket: Connection, { host, authorization }) {
      const last = socket[remembered]
      const isSame =
        last !== undefined &&
        last.at === clock.now &&
        last.epoch === epoch &&
        last.authorization === authorization &&
        last.host === host
      if (isSame && auth.isLive(last.caller)) return last
      if (!hosts.allows(host, socket.localAddress)) return undefined
      const caller = auth.authenticate({ authorization, socket })
      if (caller === undefined || isPending(caller) || isUnjudged(caller)) return undefined
      const source = socket.remoteAddress ?? unixSource
      return (socket[remembered] = {
        host,
        authorization,
        caller,
        source,
        app: apps.of(caller.name),
        row: undefined,
        at: clock.now,
        epoch,
      })
    },
    close,
  }
}
