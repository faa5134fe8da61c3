import { createMatcher } from '../../core/patterns.ts'
import type { TokenStore } from '../tokens.ts'
import type { Authenticator } from './authenticator.ts'
import { type Caller, createCaller, socketPerson } from './caller.ts'
import type { CertificateWay } from './certificates.ts'
import type { JwtWay } from './jwt.ts'
import type { PolicyHolder } from './policy.ts'

export interface EveryWayOptions {
  readonly tokens: Pick<TokenStore, 'authenticate' | 'isLive' | 'onChange' | 'recall'>
  readonly policy: PolicyHolder
  readonly jwt: JwtWay
  readonly certificates: CertificateWay
  /** Whether the server listens on a Unix socket, where the rules of `socket` count. */
  readonly isUnixSocket: boolean
}

/**
 * All ways in. A request that shows a bearer token is judged by that alone: a bad one is not made good by a certificate or
 * by the socket it came through, or nobody would notice that it is bad.
 */
export function createEveryWay(options: EveryWayOptions): Authenticator {
  const { policy, jwt, certificates, isUnixSocket } = options
  const tokens = underRules(options.tokens, policy)
  const socket = socketWay(policy)
  return {
    authenticate(facts) {
      const { authorization } = facts
      if (authorization !== undefined)
        return tokens.authenticate(authorization) ?? jwt.authenticate(authorization, facts)
      // What a proxy passes on comes over its connection from anybody: the socket's rules are for who opens it.
      const isOwn = isUnixSocket && facts.isPassedOn?.() !== true
      return certificates.authenticate(facts.socket) ?? (isOwn ? socket.caller() : undefined)
    },
    isLive(caller) {
      switch (caller.kind) {
        case 'token':
          return tokens.isLive(caller)
        case 'jwt':
          return jwt.isLive(caller)
        case 'certificate':
          return certificates.isLive(caller)
        case 'socket':
          return socket.isLive(caller)
        case 'nobody':
          return false
      }
    },
    recall: (id) => tokens.recall(id),
    ruledGrants: (name) => tokens.grantsOf(name),
    onChange(listener) {
      const cancels = [tokens.onChange(listener), policy.onChange(listener), certificates.onChange(listener)]
      return () => {
        for (const cancel of cancels) cancel()
      }
    },
  }
}

/** Tokens whose names the policy names have the grants that it gives them. */
function underRules(tokens: EveryWayOptions['tokens'], policy: PolicyHolder) {
  /** The other caller that stands for one of the store's; and the store's for that. */
  let ruled = new WeakMap<Caller, Caller>()
  let origins = new WeakMap<Caller, Caller>()
  /** All that ever stood for another: their grants are those of rules that may be gone. */
  const everRuled = new WeakSet<Caller>()
  let generation = policy.generation
  let rules = compile(policy)
  const refresh = (): void => {
    if (generation === policy.generation) return
    generation = policy.generation
    rules = compile(policy)
    ruled = new WeakMap()
    origins = new WeakMap()
  }
  const judged = (caller: Caller | undefined): Caller | undefined => {
    refresh()
    if (caller === undefined || rules.length === 0) return caller
    const known = ruled.get(caller)
    if (known !== undefined) return known
    const rule = rules.find(({ fits }) => fits(caller.name))
    if (rule === undefined) return caller
    const { id, name, kind, person } = caller
    const other = createCaller({ id, name, kind, person, grants: rule.grants })
    ruled.set(caller, other)
    origins.set(other, caller)
    everRuled.add(other)
    return other
  }
  return {
    authenticate: (header: string | undefined): Caller | undefined => judged(tokens.authenticate(header)),
    recall: (id: string): Caller | undefined => judged(tokens.recall?.(id)),
    isLive(caller: Caller): boolean {
      refresh()
      const origin = origins.get(caller)
      if (origin !== undefined) return tokens.isLive(origin)
      return !everRuled.has(caller) && tokens.isLive(caller) && !rules.some(({ fits }) => fits(caller.name))
    },
    onChange: (listener: () => void) => tokens.onChange(listener),
    grantsOf(name: string) {
      refresh()
      return rules.find(({ fits }) => fits(name))?.grants
    },
  }
}

function compile({ policy }: PolicyHolder) {
  return policy.tokens.map(({ name, grants }) => {
    const matcher = createMatcher([name])
    return { fits: (text: string) => matcher.matches(text), grants }
  })
}

function socketWay(policy: PolicyHolder) {
  let made: { readonly generation: number; readonly caller: Caller | undefined } | undefined
  const caller = (): Caller | undefined => {
    if (made?.generation !== policy.generation) {
      const { socket } = policy.policy
      made = {
        generation: policy.generation,
        caller:
          socket.length === 0
            ? undefined
            : createCaller({
                id: 'socket',
                name: 'socket',
                person: socketPerson,
                kind: 'socket',
                grants: socket,
              }),
      }
    }
    return made.caller
  }
  return { caller, isLive: (one: Caller) => caller() === one }
}
