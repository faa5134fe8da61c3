import type { CredentialSummary } from '../api/types.ts'
import type { Service } from '../engine/service.ts'
import type { Caller } from './auth/caller.ts'
import { forReaders } from './unnamed.ts'

/** Whether somebody looks after the credential: they see all of it, and others what apps may know. */
export function seesAll(caller: Caller, name: string): boolean {
  return caller.may('operate', name) || caller.may('audit', name)
}

/** Whether it is listed for them. An internal one is there for those alone who look after it. */
export function isShown(service: Pick<Service, 'isInternal'>, caller: Caller, name: string): boolean {
  return caller.sees(name) && (!service.isInternal(name) || seesAll(caller, name))
}

/** Of the credentials that are listed for the caller, as they may see them; no other is looked at. */
export async function summariesFor(
  service: Pick<Service, 'isInternal' | 'names' | 'summaries' | 'summary'>,
  caller: Caller,
  isAsked: (name: string) => boolean = () => true,
): Promise<readonly CredentialSummary[]> {
  const names = service.names.filter((name) => isAsked(name) && isShown(service, caller, name))
  const isAll = names.length === service.names.length
  const all = isAll
    ? await service.summaries()
    : await Promise.all(names.map((name) => service.summary(name)))
  return all.map((one) => asSeen(one, caller))
}

export function asSeen(summary: CredentialSummary, caller: Caller): CredentialSummary {
  return seesAll(caller, summary.name) ? summary : forReaders(summary)
}
