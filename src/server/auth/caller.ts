import { allGrants, type Grant, type GrantRule } from '../../core/grants.ts'
import { createMatcher, type Matcher } from '../../core/patterns.ts'

export type CallerKind = 'token' | 'jwt' | 'certificate' | 'socket' | 'nobody'

/** Who asks, once it is proven, and what they may do. */
export interface Caller {
  /** One way in: two live tokens of one name have two ids. */
  readonly id: string
  /** Who it is, for people, for leases, for the audit. Never a secret. */
  readonly name: string
  /** Whom an act is put down to where two persons are needed: a token that was made over the API is its maker's. */
  readonly person: string
  readonly kind: CallerKind
  /** Whether the grant covers the credential; without one, whether it covers the service as a whole. */
  may(grant: Grant, credential?: string): boolean
  /** Whether the grant is held on anything at all. */
  holds(grant: Grant): boolean
  /** Whether they may know that the credential is there: any grant on it will do. */
  sees(credential: string): boolean
}

export interface CallerOptions {
  readonly id: string
  readonly name: string
  readonly kind: CallerKind
  readonly grants: readonly GrantRule[]
  /** Default: the name. */
  readonly person?: string
}

/** Everything on everything: what an operator's token may. */
export const operatorGrants: readonly GrantRule[] = [{ credentials: ['*'], may: allGrants }]

/** Compiled once per caller, so that asking costs a lookup in a set. */
export function createCaller({ id, name, kind, grants, person = name }: CallerOptions): Caller {
  const byGrant = new Map<Grant, Matcher>()
  for (const grant of allGrants) {
    const rules = grants.filter((rule) => rule.may.includes(grant))
    // What is of the service as a whole is so whatever credentials the rule names beside it.
    const patterns = isOfService(grant) ? ['*'] : rules.flatMap((rule) => rule.credentials)
    if (rules.length > 0 && patterns.length > 0) byGrant.set(grant, createMatcher(patterns))
  }
  // Whoever only says that something is due sees nothing.
  const perCredential = allGrants.filter((grant) => !isOfService(grant) && grant !== 'hook')
  return {
    id,
    name,
    person,
    kind,
    may: (grant, credential) => {
      const matcher = byGrant.get(grant)
      if (matcher === undefined) return false
      return credential === undefined ? matcher.isAll : matcher.matches(credential)
    },
    holds: (grant) => byGrant.has(grant),
    sees: (credential) => perCredential.some((grant) => byGrant.get(grant)?.matches(credential) === true),
  }
}

export function isOfService(grant: Grant): boolean {
  return grant === 'metrics' || grant === 'dashboard'
}

/** Whether one caller may all that the rules would let another do: nobody gives away what they lack. */
export function covers(caller: Caller, grants: readonly GrantRule[]): boolean {
  return grants.every(({ may, credentials }) =>
    may.every((grant) =>
      isOfService(grant)
        ? caller.may(grant)
        : credentials.every((pattern) => caller.may(grant, pattern.includes('*') ? undefined : pattern)),
    ),
  )
}

/** Of whoever comes over the Unix socket, and of the tokens that they make: no name of a token looks like it. */
export const socketPerson = '(socket)'

/** Whoever asks where nobody is asked who they are. */
export const nobody: Caller = createCaller({ id: '', name: 'nobody', kind: 'nobody', grants: [] })
