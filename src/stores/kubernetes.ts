import { KeyturnError } from '../core/errors.ts'
import type { Cancel, PermissionFinding, SecretStore, StoreCapabilities } from '../core/ports.ts'
import type { StoreContext } from './context.ts'
import { type KubernetesAccessOptions, openAccess } from './kubernetes-access.ts'
import { type KubernetesCalls, openKubernetesCalls, type Place } from './kubernetes-calls.ts'
import { immutableError, kubernetesDocuments, nameOf, slotSuffix } from './kubernetes-documents.ts'
import { type KubernetesVerb, roleFix } from './kubernetes-errors.ts'
import { watchSecret } from './kubernetes-watch.ts'
import { slotStore } from './slot-store.ts'

export interface KubernetesOptions extends KubernetesAccessOptions {
  /** Where names without a namespace are. Default: the pod's own, or the context's. */
  readonly namespace?: string
  /** The key of the Secret that holds the API key. Default `api_key`. All others are left as they are. */
  readonly key?: string
  /** From the connection to the last byte of one answer, 1 to 60,000. Default 5,000. */
  readonly requestTimeoutMs?: number
  /** Failed attempts of one call, 1 to 10. Default 3. */
  readonly maxAttempts?: number
}

const capabilities: StoreCapabilities = {
  kind: 'kubernetes',
  writable: true,
  staging: 'slot',
  cas: 'native',
  destroy: 'version',
  // Mounted Secrets follow after the kubelet's sync period (60 s) and its cache; environment variables never do.
  propagationMs: 120_000,
}

/**
 * A Secret of Kubernetes. `ref` is `name` or `namespace/name`.
 *
 * The key is one key of the Secret's data; pending, previous and retired ones are in a second Secret `<name>-keyturn`, so
 * that no pod gets to see them. Every write replaces the whole object under the resourceVersion that was read, so that
 * whatever else is in it stays. See slot-state.ts and slot-pair.ts for how the two go together.
 *
 * Error codes: `bad_request`, `config_invalid`, `config_missing` and all `store_*` codes but `store_disabled`.
 */
export async function openKubernetesStore(
  options: KubernetesOptions,
  context: StoreContext,
): Promise<SecretStore> {
  const access = await openAccess(options, context)
  const calls = openKubernetesCalls(access, options.requestTimeoutMs ?? 5_000, context)
  const home = options.namespace ?? access.namespace
  const placeOf = (ref: string): Place => {
    const [name = '', namespace = home] = ref.split('/').toReversed()
    return { namespace, name }
  }
  const watches = new Set<Cancel>()
  return slotStore({
    context,
    pair: {
      capabilities,
      failuresMax: (options.maxAttempts ?? 3) - 1,
      assertRef,
      ...kubernetesDocuments(calls, { key: options.key ?? 'api_key', placeOf }, context),
      check: (ref) => checkKubernetes(calls, placeOf(ref)),
      watch(ref, onChange) {
        const cancel = watchSecret(calls, placeOf(ref), onChange, context)
        watches.add(cancel)
        return () => {
          watches.delete(cancel)
          cancel()
        }
      },
      async close() {
        for (const cancel of watches) cancel()
        watches.clear()
        calls.close()
      },
    },
  })
}

/** The names that Kubernetes takes, with room for the sibling's suffix. */
function assertRef(ref: string): void {
  const parts = ref.split('/')
  const [name = '', namespace = 'default'] = parts.toReversed()
  const isName = /^[a-z0-9]([a-z0-9.-]{0,243}[a-z0-9])?$/.test(name) && !name.endsWith(slotSuffix)
  const isNamespace = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace)
  if (parts.length <= 2 && isName && isNamespace) return
  throw new KeyturnError('bad_request', 'The name of a Secret has a form that Kubernetes does not take.', {
    fix: `Name it NAME or NAMESPACE/NAME: a-z, 0-9, - and ., at most 245 characters, not ending in ${slotSuffix}.`,
  })
}

/** What this identity may do, as the API server itself says it (SelfSubjectAccessReview). Changes nothing. */
async function checkKubernetes(calls: KubernetesCalls, main: Place): Promise<readonly PermissionFinding[]> {
  const slot = { ...main, name: main.name + slotSuffix }
  const findings = [await review(calls, main, 'get'), await review(calls, slot, 'get')]
  const isReadable = findings.every(({ state }) => state !== 'missing')
  for (const place of [main, slot]) {
    const object = isReadable ? await calls.get(place) : undefined
    if (object?.isImmutable === true) throw immutableError(place)
    findings.push(await review(calls, place, 'update'))
    // RBAC cannot allow to create by name, so that it is asked for only where it is needed.
    if (isReadable && object === undefined) findings.push(await review(calls, place, 'create'))
  }
  return findings
}

async function review(
  calls: KubernetesCalls,
  place: Place,
  verb: KubernetesVerb,
): Promise<PermissionFinding> {
  const finding = { permission: `${verb} secrets`, resource: nameOf(place) }
  const isAllowed = await calls.isAllowed(place, verb)
  if (isAllowed === undefined) return { ...finding, state: 'untested' }
  if (isAllowed) return { ...finding, state: 'granted' }
  return { ...finding, state: 'missing', fix: roleFix(verb, place) }
}
