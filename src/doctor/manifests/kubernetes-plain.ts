import { inspectKeyShape } from '../../core/key-inspection.ts'
import { describePlace, type Finding, type Place } from '../finding.ts'
import { isKeyName } from '../project/key-names.ts'
import { realKeysIn } from '../project/real-key.ts'
import { type Manifest, secretReference, type Variable } from './kubernetes-manifest.ts'
import { at, entriesAt, textAt } from './yaml-tree.ts'

const secretCommand = 'kubectl create secret generic openai --from-literal=OPENAI_API_KEY="$OPENAI_API_KEY"'

/** A ConfigMap's values are shown to everybody who may look at the namespace. */
export function configMapFindings({ tree, path, name }: Manifest): readonly Finding[] {
  return [...entriesAt(tree, 'data')].flatMap(([key, { line, value }]) => {
    const text = value.kind === 'text' ? value.text : ''
    const isNamed = isKeyName(key) && text.trim() !== ''
    if (!isNamed && realKeysIn(text).length === 0) return []
    const place = { kind: 'file', path, line, name: key } as const
    return [inTheOpen(place, `${describePlace(place)} keeps ${key} in the ConfigMap ${name}.`)]
  })
}

/** `value:` in the manifest of a pod. */
export function plainValue({ name, line, tree, manifest }: Variable): readonly Finding[] {
  const value = textAt(tree, 'value')
  // `$(NAME)` refers to another variable, `${NAME}` is filled in by whoever applies it.
  if (value === undefined || /^\$[({]/.test(value)) return []
  const place = { kind: 'file', path: manifest.path, line, name } as const
  if (value.trim() === '')
    return [
      {
        code: 'secret_reference_missing',
        severity: 'error',
        seen: `${describePlace(place)} sets ${name} to nothing.`,
        cause: 'The container starts with an empty variable, so the program in it has no key.',
        fix: `In ${describePlace(place)} write: ${secretReference(name)}`,
        place,
      },
    ]
  if (inspectKeyShape(value).core === 'placeholder')
    return [
      {
        code: 'key_placeholder',
        severity: 'error',
        seen: `${describePlace(place)} sets a placeholder of ${value.length} characters as ${name}.`,
        cause: 'The example text was never replaced, and the container starts with it.',
        fix: `In ${describePlace(place)} write: ${secretReference(name)}; after:\n${secretCommand}`,
        place,
      },
    ]
  return [
    inTheOpen(
      place,
      `${describePlace(place)} writes ${name} as a plain value into the ${manifest.kind} ${manifest.name}.`,
    ),
  ]
}

/** Told at the reference only where the ConfigMap itself is not among the files. */
export function configMapReference(
  { name, line, tree, manifest }: Variable,
  maps: readonly Manifest[],
): readonly Finding[] {
  const map = textAt(tree, 'valueFrom', 'configMapKeyRef', 'name')
  if (
    at(tree, 'valueFrom', 'configMapKeyRef') === undefined ||
    map === undefined ||
    maps.some((one) => one.name === map)
  )
    return []
  const place = { kind: 'file', path: manifest.path, line, name } as const
  return [inTheOpen(place, `${describePlace(place)} takes ${name} from the ConfigMap ${map}.`)]
}

function inTheOpen(place: Place, seen: string): Finding {
  const name = place.kind === 'file' && place.name !== undefined ? place.name : 'OPENAI_API_KEY'
  return {
    code: 'config_map_holds_key',
    severity: 'error',
    seen,
    cause: 'Whoever may look at the namespace, or at the manifest, can read the key.',
    fix: `In the container write: - name: OPENAI_API_KEY, ${secretReference('OPENAI_API_KEY')}; take ${name} out of ${describePlace(place)}; after:\n${secretCommand}`,
    place,
  }
}
