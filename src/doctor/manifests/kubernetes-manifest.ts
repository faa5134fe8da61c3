import { itemsAt, type YamlTree } from './yaml-tree.ts'

export interface Manifest {
  readonly path: string
  readonly kind: string
  readonly name: string
  /** Undefined: whatever it is applied to. */
  readonly namespace: string | undefined
  readonly tree: YamlTree
}

export interface Variable {
  readonly name: string
  readonly line: number
  readonly tree: YamlTree
  readonly manifest: Manifest
}

const podPaths: readonly (readonly string[])[] = [
  ['spec'],
  ['spec', 'template', 'spec'],
  ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
]

export function containersOf({ tree }: Manifest): readonly YamlTree[] {
  return podPaths.flatMap((path) => [
    ...itemsAt(tree, ...path, 'containers'),
    ...itemsAt(tree, ...path, 'initContainers'),
  ])
}

/** The lines that belong in a container, in the one line that a message has. */
export function secretReference(variable: string): string {
  return `valueFrom: { secretKeyRef: { name: openai, key: ${variable} } }`
}
