import type { DeliveryOutcome } from '../core/alert-deliveries.ts'
import { KeyturnError } from '../core/errors.ts'
import { isLoopbackHost } from '../core/loopback.ts'
import type { Clock, Log } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import { failed, type Send } from './post.ts'

/** Read at every use, so that a turned secret is used at once. Rejects with `config_invalid` where it is not there. */
export type ReadSecret = () => Promise<Secret>

export interface ChannelContext {
  readonly clock: Clock
  readonly send: Send
  readonly log: Log
  /** For one whole try, in milliseconds. */
  readonly timeoutMs: number
  /** Of Keyturn, for receivers that want to know who calls. */
  readonly version: string
  /** Names this machine to receivers that ask for a source. */
  readonly source: string
}

/** A secret that is not there, or is not what it should be, is for a person to mend. */
export async function withSecrets(work: () => Promise<DeliveryOutcome>): Promise<DeliveryOutcome> {
  try {
    return await work()
  } catch (thrown) {
    const isOurs = thrown instanceof KeyturnError && thrown.code === 'config_invalid'
    if (!isOurs) return failed('it could not be asked', { isPermanent: true })
    const { message, fix } = thrown
    return failed(fix === undefined ? message : `${message} ${fix}`, { isPermanent: true })
  }
}

/** An address that may be a secret as a whole: https, or http to this machine. Never quoted. */
export function addressOf(text: string, what: string): URL {
  if (URL.canParse(text)) {
    const url = new URL(text)
    if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))) return url
  }
  throw new KeyturnError('config_invalid', `The ${what} is not an https:// address.`, {
    fix: 'Copy the whole address again; http:// only to this machine.',
  })
}
