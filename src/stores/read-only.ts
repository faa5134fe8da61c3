import type { Cancel, PermissionFinding, SecretStore, StoreCapabilities } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import { readOnlyError, type StoreContext } from './context.ts'

export interface ReadOnlySource {
  readonly kind: 'env' | 'file'
  /** Undefined where there is none. */
  read(ref: string): Promise<Secret | undefined>
  /** What a permission finding names, e.g. the path. */
  resourceOf(ref: string): string
  watch(ref: string, onChange: () => void): Cancel
  readonly propagationMs: number
}

/**
 * A store of exactly one version per ref, whose id is drawn from the value, so that equal values are equal versions on
 * every machine and a changed value is a new version. The hash goes over a fixed prefix as well: it equals no hash of
 * the bare key that somebody may have published. Every mutation is refused with `store_read_only`.
 */
export function readOnlyStore(source: ReadOnlySource, context: StoreContext): SecretStore {
  const capabilities: StoreCapabilities = {
    kind: source.kind,
    writable: false,
    staging: 'none',
    cas: 'none',
    destroy: 'none',
    propagationMs: source.propagationMs,
  }
  const watches = new Set<Cancel>()
  const refuse = async (ref: string, act: string): Promise<never> => {
    throw readOnlyError(ref, capabilities, act)
  }
  const versionOf = (secret: Secret): string =>
    `${source.kind}-${context.system.sha256Hex(`keyturn version:${secret.reveal()}`).slice(0, 12)}`

  return {
    capabilities,
    async read(ref, options) {
      const secret = await source.read(ref)
      if (secret === undefined) return undefined
      const version = versionOf(secret)
      if (options?.version !== undefined && options.version !== version) return undefined
      return { version, secret, meta: {} }
    },
    async describe(ref) {
      const secret = await source.read(ref)
      if (secret === undefined) return undefined
      const version = versionOf(secret)
      return { current: version, versions: [{ version, isRetired: false, meta: {} }] }
    },
    stage: (ref) => refuse(ref, 'stage a version of'),
    promote: (ref) => refuse(ref, 'promote a version of'),
    retire: (ref) => refuse(ref, 'retire a version of'),
    destroy: (ref) => refuse(ref, 'destroy a version of'),
    annotate: (ref) => refuse(ref, 'annotate a version of'),
    async check(ref) {
      await source.read(ref)
      const finding: PermissionFinding = {
        permission: 'read',
        resource: source.resourceOf(ref),
        state: 'granted',
      }
      return [finding]
    },
    watch(ref, onChange) {
      const cancel = source.watch(ref, onChange)
      watches.add(cancel)
      return () => {
        watches.delete(cancel)
        cancel()
      }
    },
    async close() {
      for (const cancel of watches) cancel()
      watches.clear()
    },
  }
}
