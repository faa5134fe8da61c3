import { KeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import { type VersionId, versionIdPattern } from '../core/types.ts'
import { type StoreContext, warn } from './context.ts'
import type { KubernetesCalls, Place, SecretObject } from './kubernetes-calls.ts'
import { withoutFileMarks } from './plain-text.ts'
import type { DocumentPair } from './slot-pair.ts'
import { digestOf, type MainDocument } from './slot-state.ts'
import { withoutFieldError } from './without-field.ts'

export interface KubernetesDocument extends MainDocument {
  readonly object: SecretObject | undefined
}

export const slotSuffix = '-keyturn'
/** Which version the Secret holds, and a digest that says whether it still does. */
const currentAnnotation = 'keyturn/current'
const touchedAnnotation = 'keyturn/touched'
/** kubectl keeps the whole manifest there, and puts its key back at the next apply. */
const appliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration'
const ourLabels = { 'app.kubernetes.io/managed-by': 'keyturn' }

type Documents = Pick<
  DocumentPair<KubernetesDocument>,
  'readMain' | 'writeMain' | 'touchMain' | 'readSlot' | 'writeSlot' | 'nameOfSlot'
>

/** A Secret and its sibling, each replaced whole under the resourceVersion that was read. */
export function kubernetesDocuments(
  calls: KubernetesCalls,
  { key, placeOf }: { readonly key: string; readonly placeOf: (ref: string) => Place },
  context: StoreContext,
): Documents {
  const slots = new Map<string, SecretObject>()
  const slotOf = (ref: string): Place => {
    const { namespace, name } = placeOf(ref)
    return { namespace, name: name + slotSuffix }
  }
  const annotate = async (
    ref: string,
    main: KubernetesDocument,
    change: {
      readonly data: Readonly<Record<string, string>>
      readonly annotations: Readonly<Record<string, string>>
    },
  ): Promise<boolean> => {
    const place = placeOf(ref)
    const { object } = main
    if (object === undefined) return (await calls.create(place, fresh(place, change))) !== undefined
    return (await calls.replace(place, changed(place, object, change))) !== undefined
  }

  return {
    async readMain(ref) {
      const place = placeOf(ref)
      const object = await calls.get(place)
      if (object === undefined) return { token: '', isThere: false, object }
      const secret = keyIn(object, key, place)
      const fields = Object.keys(object.data)
      const isWithout = fields.length > 0 && !fields.includes(key)
      const claimed = secret === undefined ? undefined : claimedIn(object, secret, context)
      return {
        token: object.metadata.resourceVersion,
        isThere: true,
        object,
        ...(secret === undefined ? {} : { secret }),
        ...(isWithout ? { withoutField: withoutField(place, key, fields) } : {}),
        ...(claimed === undefined ? {} : { claimed }),
      }
    },
    async writeMain(ref, main, { secret, version }) {
      if (main.object?.metadata.annotations?.[appliedAnnotation]?.includes(`"${key}"`) === true)
        warn(
          context,
          `${nameOf(placeOf(ref))} was made by kubectl apply from a manifest with a key in it: the next apply puts that one back.`,
          { ref },
        )
      return annotate(ref, main, {
        data: { [key]: Buffer.from(secret.reveal()).toString('base64') },
        annotations: { [currentAnnotation]: `${version} ${digestOf(secret, context.system)}` },
      })
    },
    touchMain: (ref, main) =>
      // The API server makes no new resourceVersion for an object that is the same.
      annotate(ref, main, { data: {}, annotations: { [touchedAnnotation]: context.system.uuid() } }),
    async readSlot(ref) {
      const place = slotOf(ref)
      const object = await calls.get(place)
      if (object === undefined) {
        slots.delete(nameOf(place))
        return { token: '' }
      }
      remember(slots, nameOf(place), object)
      return { token: object.metadata.resourceVersion, fields: decoded(object, place) }
    },
    async writeSlot(ref, token, fields) {
      const place = slotOf(ref)
      const data: Record<string, string> = {}
      for (const [name, text] of Object.entries(fields)) data[name] = Buffer.from(text).toString('base64')
      const known = slots.get(nameOf(place))
      // Labels and owners that somebody gave it stay; what it keeps is replaced as a whole.
      const base = known?.metadata.resourceVersion === token ? known : await calls.get(place)
      if (token === '' ? base !== undefined : base?.metadata.resourceVersion !== token) return undefined
      const written =
        base === undefined
          ? await calls.create(place, fresh(place, { data, annotations: {} }))
          : await calls.replace(place, changed(place, { ...base, data: {} }, { data, annotations: {} }))
      if (written !== undefined) remember(slots, nameOf(place), written)
      return written?.metadata.resourceVersion
    },
    nameOfSlot: (ref) => nameOf(slotOf(ref)),
  }
}

/** So that a write does not have to read what was read a moment ago. */
const slotsMax = 1_000

function remember(slots: Map<string, SecretObject>, name: string, object: SecretObject): void {
  if (slots.size >= slotsMax) slots.clear()
  slots.set(name, object)
}

export function nameOf({ namespace, name }: Place): string {
  return `${namespace}/${name}`
}

function fresh(
  { namespace, name }: Place,
  change: {
    readonly data: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
  },
): Readonly<Record<string, unknown>> {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: { namespace, name, labels: ourLabels, annotations: change.annotations },
    data: change.data,
  }
}

function changed(
  place: Place,
  { isImmutable, ...object }: SecretObject,
  change: {
    readonly data: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
  },
): Readonly<Record<string, unknown>> {
  if (isImmutable) throw immutableError(place)
  const { metadata, data } = object
  return {
    ...object,
    metadata: { ...metadata, annotations: { ...metadata.annotations, ...change.annotations } },
    data: { ...data, ...change.data },
  }
}

/** Found out before anything is minted, by `check`, and again here. */
export function immutableError(place: Place): KeyturnError {
  return new KeyturnError(
    'store_read_only',
    `The Secret ${nameOf(place)} is immutable: Kubernetes changes it for nobody.`,
    {
      fix: 'Make it anew under another name without immutable: true. Under the same name kubelets may go on with the old key for ever (kubernetes issue 131589).',
    },
  )
}

/** The version that the Secret itself names, where its key is still the one it was written with. */
function claimedIn(object: SecretObject, secret: Secret, { system }: StoreContext): VersionId | undefined {
  const [version, digest] = (object.metadata.annotations?.[currentAnnotation] ?? '').split(' ')
  if (version === undefined || !versionIdPattern.test(version)) return undefined
  return digest === digestOf(secret, system) ? version : undefined
}

function withoutField(place: Place, key: string, fields: readonly string[]): KeyturnError {
  const patch = JSON.stringify({ stringData: { [key]: '' } })
  const begin = `kubectl -n ${place.namespace} patch secret ${place.name} -p '${patch}'`
  return withoutFieldError(`The Secret ${nameOf(place)}`, { field: key, fields, begin })
}

/** Undefined where the Secret has no such key, or an empty one: it was made to be filled. */
function keyIn(object: SecretObject, key: string, place: Place): Secret | undefined {
  const encoded = Object.hasOwn(object.data, key) ? object.data[key] : undefined
  if (encoded === undefined || encoded === '') return undefined
  const text = withoutFileMarks(utf8(encoded, key, place))
  if (text.trim() !== '') return new Secret(text)
  throw new KeyturnError('store_malformed', `The Secret ${nameOf(place)} has nothing in its key ${key}.`, {
    fix: `Put the key into ${key}, or nothing at all ("") where there is none yet, or configure the key of the Secret that holds it.`,
  })
}

function decoded(object: SecretObject, place: Place): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {}
  for (const [name, encoded] of Object.entries(object.data)) fields[name] = utf8(encoded, name, place)
  return fields
}

function utf8(encoded: string, name: string, place: Place): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(encoded, 'base64'))
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown
    throw new KeyturnError(
      'store_malformed',
      `The key ${name} of the Secret ${nameOf(place)} is not UTF-8 text.`,
      {
        fix: `Put the key into it as plain text: kubectl -n ${place.namespace} edit secret ${place.name}`,
      },
    )
  }
}
