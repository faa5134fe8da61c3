import type { Grant } from '../../api/types.ts'

export type CallerKind = 'token' | 'jwt' | 'certificate' | 'socket' | 'nobody'

/** Who asks, once it is proven, and what they may do. */
export interface Caller {
  /** One way in: two live tokens of one name have two ids. */
  readonly id: string
  /** Who it is, for people, for leases, for the audit. Never a secret. */
  readonly name: string
  readonly kind: CallerKind
  /** Whether the grant covers the credential; without one, whether it covers the service as a whole. */
  may(grant: Grant, credential?: string): boolean
  /** Whether the grant is held on anything at all. */
  holds(grant: Grant): boolean
  /** Whether they may know that the credential is there: any grant on it will do. */
  sees(credential: string): boolean
}

/** On which credentials something may be done. Patterns are names in which `*` stands for any characters. */
export interface GrantRule {
  readonly credentials: readonly string[]
  readonly may: readonly Grant[]
}

export interface CallerOptions {
  readonly id: string
  readonly name: string
  readonly kind: CallerKind
  readonly grants: readonly GrantRule[]
}

export const allGrants: readonly Grant[] = ['read', 'operate', 'audit', 'metrics', 'dashboard']

/** Everything on everything: what an operator's token may. */
export const operatorGrants: readonly GrantRule[] = [{ credentials: ['*'], may: allGrants }]

/** Compiled once per caller, so that asking costs a lookup in a set. */
export function createCaller({ id, name, kind, grants }: CallerOptions): Caller {
  const byGrant = new Map<Grant, Matcher>()
  for (const grant of allGrants) {
    const patterns = grants.filter((rule) => rule.may.includes(grant)).flatMap((rule) => rule.credentials)
    if (patterns.length > 0) byGrant.set(grant, createMatcher(patterns))
  }
  const perCredential = ['read', 'operate', 'audit'] as const
  return {
    id,
    name,
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

/** Whoever asks where nobody is asked who they are. */
export const nobody: Caller = createCaller({ id: '', name: 'nobody', kind: 'nobody', grants: [] })

export interface Matcher {
  /** Whether one of the patterns is `*` alone. */
  readonly isAll: boolean
  matches(name: string): boolean
}

export function createMatcher(patterns: readonly string[]): Matcher {
  const isAll = patterns.includes('*')
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const globs = patterns.filter((pattern) => pattern.includes('*')).map(globOf)
  return {
    isAll,
    matches: (name) => isAll || exact.has(name) || globs.some((glob) => glob(name)),
  }
}

/** `*` for any characters. By parts and not as a regular expression: no pattern can make it slow. */
export function globOf(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*')
  const [first = '', ...rest] = parts
  const last = rest.pop()
  if (last === undefined) return (text) => text === pattern
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last))
      return false
    let from = first.length
    const end = text.length - last.length
    for (const part of rest) {
      const at = text.indexOf(part, from)
      if (at < 0 || at + part.length > end) return false
      from = at + part.length
    }
    return true
  }
}
