import type { Finding } from '../finding.ts'
import { isAside } from '../project/aside.ts'
import { isKeyName } from '../project/key-names.ts'
import { type Look, projectCheck } from '../project/project-check.ts'
import { realKeysIn } from '../project/real-key.ts'
import { leak } from '../source/leaked-keys.ts'
import { containersOf, type Manifest, type Variable } from './kubernetes-manifest.ts'
import { configMapFindings, configMapReference, plainValue } from './kubernetes-plain.ts'
import { missingReferences } from './kubernetes-references.ts'
import { secretFindings } from './kubernetes-secrets.ts'
import { hasOwnCheck } from './owned.ts'
import { isTemplate, isYaml } from './paths.ts'
import { at, itemsAt, readYaml, textAt, type YamlTree } from './yaml-tree.ts'

const manifestsMax = 2_000

/** Keys that stand in manifests of Kubernetes, and references that lead nowhere. */
export const kubernetes = projectCheck('Kubernetes manifests', async (look) => {
  const paths = look.files
    .list()
    // Ignored ones as well: a Secret that git is not to have lies beside the manifests that refer to it.
    .filter((path) => isYaml(path) && !isTemplate(path) && !isAside(path))
  const texts = paths
    .map((path) => ({ path, text: look.files.read(path) ?? '' }))
    .filter(({ text }) => /^\s*(?:kind\s*:|secretGenerator\s*:|configMapGenerator\s*:)/m.test(text))
  if (!texts.some(({ text }) => /open_?-?ai|sk-/i.test(text))) return []
  const manifests: Manifest[] = []
  for (const { path, text } of texts) {
    if (manifests.length >= manifestsMax) break
    for (const tree of await readYaml(text)) manifests.push(...manifestsIn(path, tree))
  }
  const found = findingsIn(look, manifests)
  const told = new Set(found.flatMap(({ place }) => (place?.kind === 'file' ? [place.path] : [])))
  return [
    ...found,
    ...texts
      .filter(
        ({ path, text }) => !told.has(path) && hasOwnCheck(path, text) && look.files.isIgnored(path) !== true,
      )
      .flatMap(({ path, text }) => othersIn(look, path, text)),
  ]
})

/** A document of its own, or one of a List. */
function manifestsIn(path: string, tree: YamlTree): readonly Manifest[] {
  const kind =
    textAt(tree, 'kind') ?? (at(tree, 'secretGenerator') === undefined ? undefined : 'Kustomization')
  if (kind === undefined) return []
  if (kind === 'List') return itemsAt(tree, 'items').flatMap((item) => manifestsIn(path, item))
  const name = textAt(tree, 'metadata', 'name') ?? ''
  return [{ path, kind, name, namespace: textAt(tree, 'metadata', 'namespace'), tree }]
}

function findingsIn(look: Look, manifests: readonly Manifest[]): readonly Finding[] {
  const maps = manifests.filter(({ kind }) => kind === 'ConfigMap')
  const variables = manifests.flatMap(variablesOf).filter(({ name }) => isKeyName(name))
  return [
    ...maps.flatMap((one) => configMapFindings(one)),
    ...variables.flatMap((one) => [...plainValue(one), ...configMapReference(one, maps)]),
    ...manifests.filter(({ kind }) => kind === 'Secret').flatMap((one) => secretFindings(look, one)),
    ...missingReferences(manifests, variables),
  ]
}

/** The variables of every container, however deep the pod's template is. */
function variablesOf(manifest: Manifest): readonly Variable[] {
  return containersOf(manifest).flatMap((container) =>
    itemsAt(container, 'env').flatMap((tree) => {
      const name = textAt(tree, 'name')
      return name === undefined ? [] : [{ name, line: tree.line, tree, manifest }]
    }),
  )
}

/** A key in an argument, an annotation, a resource that is not known here. */
function othersIn(look: Look, path: string, text: string): readonly Finding[] {
  return realKeysIn(text)
    .slice(0, 1)
    .map(({ start, secret }) =>
      leak(look, {
        place: { kind: 'file', path, line: text.slice(0, start).split('\n').length },
        secret,
        isSource: false,
      }),
    )
}
