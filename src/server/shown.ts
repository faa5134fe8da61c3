import type { CredentialSummary } from '../api/types.ts'
import type { Service } from '../engine/service.ts'
import type { Caller } from './auth/caller.ts'
import type { ServerContext } from './context.ts'
import { forReaders } from './unnamed.ts'

/** Whether somebody looks after the credential: they see all of it, and others what apps may know. */
export function seesAll(caller: Caller, name: string): boolean {
  return caller.may('operate', name) || caller.may('audit', name)
}

/** Whether it is listed for them. An internal one is there for those alone who look after it. */
export function isShown(service: Pick<Service, 'isInternal'>, caller: Caller, name: string): boolean {
  return caller.sees(name) && (!service.isInternal(name) || seesAll(caller, name))
}

/** Of ten thousand, all at once would hold hand-outs up for tens of milliseconds. */
const pieceLength = 100

/**
 * Of the credentials that are listed for the caller, as they may see them, a piece at a time with a turn for others
 * between; no other is looked at.
 */
export async function* summariesFor(
  { service, takeTurn }: Pick<ServerContext, 'service' | 'takeTurn'>,
  caller: Caller,
  isAsked: (name: string) => boolean = () => true,
): AsyncGenerator<readonly CredentialSummary[]> {
  const names = service.names.filter((name) => isAsked(name) && isShown(service, caller, name))
  for (let from = 0; from < names.length; from += pieceLength) {
    if (from > 0) await takeTurn()
    const piece = await Promise.all(
      names.slice(from, from + pieceLength).map((name) => service.summary(name)),
    )
    yield piece.map((one) => asSeen(one, caller))
  }
}

export function asSeen(summary: CredentialSummary, caller: Caller): CredentialSummary {
  return seesAll(caller, summary.name) ? summary : forReaders(summary)
}
