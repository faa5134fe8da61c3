import type { FastifyRequest } from 'fastify'
import type { Caller } from './auth/caller.ts'

/**
 * Whether a lease is dropped by the app that holds it: so by everybody who may drop no other, and by whoever says that it is
 * the instance itself, since two apps may call theirs alike.
 */
export function isOwnEnd({ headers, params }: FastifyRequest, caller: Caller): boolean {
  const { name, instance } = params as Readonly<Record<string, string>>
  return !caller.may('operate', name) || headers['keyturn-instance'] === instance
}
