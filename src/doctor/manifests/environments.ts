import { describePlace, type Finding } from '../finding.ts'
import { neededVariables } from '../launch/programs.ts'
import { lookAtBaseUrl } from '../probe/base-url.ts'
import { isAside } from '../project/aside.ts'
import { isKeyName } from '../project/key-names.ts'
import { type Look, projectCheck } from '../project/project-check.ts'
import { containersOf } from './kubernetes-manifest.ts'
import { isTemplate, isYaml } from './paths.ts'
import { at, entriesAt, readYaml, textAt, type YamlTree } from './yaml-tree.ts'

interface Given {
  /** Of the name. */
  readonly line: number
  readonly valueLine: number
  /** What is written out; undefined: it comes from elsewhere. */
  readonly value: string | undefined
  /** All that is written there, such as the name of the Secret that it comes from. */
  readonly about: string
}

/** The variables that one container or function gets. */
type Environment = ReadonlyMap<string, Given>

/** Variables that manifests set: a key under a name that the program does not read, a base URL that is not OpenAI's. */
export const environments = projectCheck('variables in manifests', async (look) => {
  const findings: Finding[] = []
  for (const path of look.files.list()) {
    if (!isYaml(path) || isTemplate(path) || isAside(path) || look.files.isIgnored(path) === true) continue
    const text = look.files.read(path) ?? ''
    if (!/open_?ai/i.test(text)) continue
    for (const tree of await readYaml(text))
      for (const environment of environmentsIn(path, tree))
        findings.push(...misnamed(look, path, environment), ...elsewhere(path, environment))
  }
  return findings
})

function environmentsIn(path: string, tree: YamlTree): readonly Environment[] {
  const services = [...entriesAt(tree, 'services').values()].map(({ value }) => at(value, 'environment'))
  const functions = [
    at(tree, 'provider', 'environment'),
    ...[...entriesAt(tree, 'functions').values()].map(({ value }) => at(value, 'environment')),
    at(tree, 'Globals', 'Function', 'Environment', 'Variables'),
    ...[...entriesAt(tree, 'Resources').values()].map(({ value }) =>
      at(value, 'Properties', 'Environment', 'Variables'),
    ),
    at(tree, 'env_variables'),
  ]
  const containers = containersOf({ path, kind: '', name: '', namespace: undefined, tree }).map((one) =>
    at(one, 'env'),
  )
  return [...services, ...functions, ...containers].map(environmentOf).filter((one) => one.size > 0)
}

function environmentOf(tree: YamlTree | undefined): Environment {
  if (tree?.kind === 'map')
    return new Map(Array.from(tree.entries, ([name, { line, value }]) => [name, given(line, value, value)]))
  const items = tree?.kind === 'list' ? tree.items : []
  return new Map(
    items.flatMap((item): [string, Given][] => {
      const [, name, value] =
        item.kind === 'text' ? (/^([^=]{1,100})(?:=([\s\S]*))?$/.exec(item.text) ?? []) : []
      const { line } = item
      if (name !== undefined) return [[name.trim(), { line, valueLine: line, value, about: value ?? '' }]]
      const named = textAt(item, 'name')
      return named === undefined ? [] : [[named, given(item.line, at(item, 'value'), item)]]
    }),
  )
}

function given(line: number, value: YamlTree | undefined, about: YamlTree): Given {
  return {
    line,
    valueLine: value?.line ?? line,
    value: value?.kind === 'text' && !value.isNull ? value.text : undefined,
    about: wordsOf(about),
  }
}

function wordsOf(tree: YamlTree): string {
  if (tree.kind === 'text') return tree.text.slice(0, 500)
  const inside = tree.kind === 'list' ? tree.items : Array.from(tree.entries.values(), ({ value }) => value)
  return inside.map(wordsOf).join(' ').slice(0, 2_000)
}

function misnamed({ project }: Look, path: string, environment: Environment): readonly Finding[] {
  const needed = neededVariables(project)
  if (needed.length === 0 || needed.some((name) => environment.has(name))) return []
  const read = new Set(project.reads.map(({ value }) => value))
  const [near] = [...environment].filter(([name]) => isKeyName(name) && !read.has(name))
  const [name = 'OPENAI_API_KEY'] = needed
  if (near === undefined) return []
  const place = { kind: 'file', path, line: near[1].line, name: near[0] } as const
  return [
    {
      code: 'variable_misnamed',
      severity: 'error',
      seen: `${describePlace(place)} sets ${near[0]}; the program reads ${name}, which is not set there.`,
      cause: 'The key is handed over under a name that the program does not read.',
      fix: `In ${describePlace(place)} write ${name} instead of ${near[0]}.`,
      place,
    },
  ]
}

function elsewhere(path: string, environment: Environment): readonly Finding[] {
  return ['OPENAI_BASE_URL', 'OPENAI_API_BASE'].flatMap((name) => {
    const { value, valueLine: line } = environment.get(name) ?? {}
    if (value === undefined || line === undefined || !/^https?:\/\/[^$]*$/i.test(value)) return []
    const { finding } = lookAtBaseUrl({ value, place: { kind: 'file', path, line, name } })
    const host = /^https?:\/\/(?:www\.|api\.)?([\w-]+)/i.exec(value)?.[1] ?? ''
    // A key that says by its name that it is that provider's is at the right address there.
    const isOfHost = [...environment].some(
      ([other, { about }]) =>
        isKeyName(other) &&
        host !== 'openai' &&
        `${other} ${about}`.toLowerCase().includes(host.toLowerCase()),
    )
    return finding === undefined || isOfHost ? [] : [finding]
  })
}
