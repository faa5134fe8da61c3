import { isLoopbackHost } from '../core/loopback.ts'
import type { Config, StoreConfig } from './types.ts'

/** Stores that are asked without a word to anybody beyond this machine, and without code that a configuration names. */
const localKinds: readonly StoreConfig['kind'][] = ['local', 'env', 'file', 'memory']

export function isLocalStore(store: StoreConfig): boolean {
  return localKinds.includes(store.kind)
}

/**
 * What this configuration has one credential ask or tell beyond this machine and OpenAI: its store, or a host. Undefined
 * where nothing: then whoever wrote it cannot get a key with it, nor run anything.
 */
export function reachBeyond(config: Config, credential: string): string | undefined {
  const stored = config.credentials.find(({ name }) => name === credential)
  const exchanged = config.federated?.find(({ name }) => name === credential)
  if (stored !== undefined && !isLocalStore(stored.store)) return `a store of the kind ${stored.store.kind}`
  return [stored?.issuer.baseUrl, exchanged?.baseUrl, exchanged?.identity.tokenUrl]
    .flatMap((url) => (url === undefined ? [] : [new URL(url)]))
    .find(({ hostname }) => !isLoopbackHost(hostname) && !/^(?:[a-z0-9-]+\.)*openai\.com$/.test(hostname))
    ?.host
}
