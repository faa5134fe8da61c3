import { nearest } from '../../core/nearest.ts'
import { describePlace, type Finding, type Place } from '../finding.ts'
import { isKeyName } from '../project/key-names.ts'
import { shellWord } from '../shell-word.ts'
import { containersOf, type Manifest, secretReference, type Variable } from './kubernetes-manifest.ts'
import { at, entriesAt, itemsAt, textAt } from './yaml-tree.ts'

/** A Secret that the manifests make, by whatever means. */
interface Made {
  readonly name: string
  readonly namespace: string | undefined
  /** Undefined: they come from elsewhere, and cannot be known here. */
  readonly keys: readonly string[] | undefined
}

/** References to Secrets or keys that no manifest makes. Where none makes any, they are made elsewhere. */
export function missingReferences(
  manifests: readonly Manifest[],
  variables: readonly Variable[],
): readonly Finding[] {
  const made = manifests.flatMap(madeBy)
  if (made.length === 0) return []
  return [
    ...variables.flatMap((variable) => ofVariable(variable, made)),
    ...manifests.flatMap((manifest) => ofWholeSecrets(manifest, made)),
  ]
}

function madeBy({ kind, name, namespace, tree }: Manifest): readonly Made[] {
  const keysAt = (...path: readonly string[]) => [...entriesAt(tree, ...path).keys()]
  switch (kind) {
    case 'Secret':
      return [{ name, namespace, keys: [...keysAt('data'), ...keysAt('stringData')] }]
    case 'SealedSecret':
      return [
        {
          name: textAt(tree, 'spec', 'template', 'metadata', 'name') ?? name,
          namespace,
          keys: [...keysAt('spec', 'encryptedData'), ...keysAt('spec', 'template', 'data')],
        },
      ]
    case 'ExternalSecret': {
      const isWhole =
        at(tree, 'spec', 'dataFrom') !== undefined || at(tree, 'spec', 'target', 'template') !== undefined
      const keys = itemsAt(tree, 'spec', 'data').flatMap((one) => textAt(one, 'secretKey') ?? [])
      return [
        { name: textAt(tree, 'spec', 'target', 'name') ?? name, namespace, keys: isWhole ? undefined : keys },
      ]
    }
    case 'SecretProviderClass':
      return itemsAt(tree, 'spec', 'secretObjects').flatMap((one) => {
        const keys = itemsAt(one, 'data').flatMap((item) => textAt(item, 'key') ?? [])
        return [{ name: textAt(one, 'secretName') ?? '', namespace, keys }]
      })
    case 'Kustomization':
      return itemsAt(tree, 'secretGenerator').map((one) => ({
        name: textAt(one, 'name') ?? '',
        namespace: textAt(one, 'namespace'),
        keys: undefined,
      }))
    // Of operators: the resource has the name of the Secret that it makes, in all that are in use.
    case 'VaultStaticSecret':
    case 'OnePasswordItem':
    case 'InfisicalSecret':
    case 'DopplerSecret':
      return [
        {
          name:
            textAt(tree, 'spec', 'destination', 'name') ??
            textAt(tree, 'spec', 'managedSecret', 'name') ??
            textAt(tree, 'spec', 'managedSecretReference', 'secretName') ??
            name,
          namespace,
          keys: undefined,
        },
      ]
    default:
      return []
  }
}

function isReachable(made: Made, manifest: Manifest): boolean {
  return (
    made.namespace === undefined || manifest.namespace === undefined || made.namespace === manifest.namespace
  )
}

function ofVariable({ name, line, tree, manifest }: Variable, made: readonly Made[]): readonly Finding[] {
  const reference = at(tree, 'valueFrom', 'secretKeyRef')
  const [secret, key] = [textAt(reference, 'name'), textAt(reference, 'key')]
  if (secret === undefined || key === undefined || textAt(reference, 'optional') === 'true') return []
  const referredAt = (part: string) => entriesAt(reference).get(part)?.line ?? line
  const place = { kind: 'file', path: manifest.path, line: referredAt('name'), name } as const
  const named = made.filter((one) => one.name === secret)
  const found = named.filter((one) => isReachable(one, manifest))
  if (found.length === 0) {
    const near = nearest(
      secret,
      made.map((one) => one.name),
    )
    const elsewhere = named[0]?.namespace
    return [
      missing(
        place,
        elsewhere === undefined
          ? `${describePlace(place)} refers to the Secret ${secret}, which no manifest makes.`
          : `${describePlace(place)} refers to the Secret ${secret} in the namespace ${manifest.namespace ?? 'default'}; the manifests make it in ${elsewhere}.`,
        near === undefined
          ? `kubectl create secret generic ${shellWord(secret)} --from-literal=${shellWord(key)}="$OPENAI_API_KEY"${manifest.namespace === undefined ? '' : ` --namespace ${shellWord(manifest.namespace)}`}`
          : `In ${describePlace(place)} write: valueFrom: { secretKeyRef: { name: ${near}, key: ${key} } }`,
      ),
    ]
  }
  if (found.some(({ keys }) => keys === undefined || keys.includes(key))) return []
  const keys = found.flatMap((one) => one.keys ?? [])
  const near = nearest(key, keys) ?? keys.find(isKeyName)
  const keyPlace = { ...place, line: referredAt('key') }
  return [
    missing(
      keyPlace,
      `${describePlace(keyPlace)} refers to the key ${key} of the Secret ${secret}, which has ${keys.length === 0 ? 'none' : `only ${keys.slice(0, 5).join(', ')}`}.`,
      near === undefined
        ? `Add ${key} to the Secret ${secret}: kubectl create secret generic ${secret} --from-literal=${key}="$OPENAI_API_KEY" --dry-run=client -o yaml | kubectl apply -f -`
        : `In ${describePlace(keyPlace)} write: valueFrom: { secretKeyRef: { name: ${secret}, key: ${near} } }`,
    ),
  ]
}

/** `envFrom`: every key of the Secret becomes a variable by its own name. */
function ofWholeSecrets(manifest: Manifest, made: readonly Made[]): readonly Finding[] {
  return containersOf(manifest).flatMap((container) => {
    if (itemsAt(container, 'env').some((one) => isKeyName(textAt(one, 'name') ?? ''))) return []
    return itemsAt(container, 'envFrom').flatMap((item) => {
      const name = textAt(item, 'secretRef', 'name')
      if (name === undefined || textAt(item, 'secretRef', 'optional') === 'true') return []
      const place = { kind: 'file', path: manifest.path, line: item.line } as const
      const found = made.filter((one) => one.name === name && isReachable(one, manifest))
      if (found.length === 0 && /open-?ai/i.test(name))
        return [
          missing(
            place,
            `${describePlace(place)} takes all of the Secret ${name}, which no manifest makes.`,
            `kubectl create secret generic ${shellWord(name)} --from-literal=OPENAI_API_KEY="$OPENAI_API_KEY"`,
          ),
        ]
      const wrong = found
        .flatMap(({ keys }) => keys ?? [])
        .find((key) => isKeyName(key) && key !== 'OPENAI_API_KEY' && !/^[A-Z_][A-Z0-9_]*$/.test(key))
      if (wrong === undefined || found.some(({ keys }) => keys?.includes('OPENAI_API_KEY') !== false))
        return []
      return [
        missing(
          place,
          `${describePlace(place)} takes all of the Secret ${name}, whose key ${wrong} becomes a variable of that name and not OPENAI_API_KEY.`,
          `In the container write: - name: OPENAI_API_KEY, ${secretReference('OPENAI_API_KEY').replace('name: openai, key: OPENAI_API_KEY', `name: ${name}, key: ${wrong}`)}`,
        ),
      ]
    })
  })
}

function missing(place: Place, seen: string, fix: string): Finding {
  return {
    code: 'secret_reference_missing',
    severity: 'error',
    seen,
    cause: 'The container gets its key from a Secret, or a key of one, that is not there.',
    fix,
    place,
  }
}
