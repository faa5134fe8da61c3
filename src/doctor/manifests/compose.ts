import { inspectKeyShape } from '../../core/key-inspection.ts'
import { describePlace, type Finding, type Place } from '../finding.ts'
import { isAside } from '../project/aside.ts'
import { isKeyName } from '../project/key-names.ts'
import { isInEnvironment, type Look, projectCheck } from '../project/project-check.ts'
import { folderOf, inFolder, isCompose, isTemplate } from './paths.ts'
import { at, entriesAt, itemsAt, readYaml, type YamlTree } from './yaml-tree.ts'

/** Variables that a compose file hands to its containers empty. A key that is written out is told by leaked-keys.ts. */
export const composeFiles = projectCheck('compose files', async (look) => {
  const paths = look.files.list().filter((path) => isCompose(path) && !isTemplate(path) && !isAside(path))
  const findings: Finding[] = []
  for (const path of paths) {
    const text = look.files.read(path) ?? ''
    if (!/open_?ai/i.test(text)) continue
    for (const tree of await readYaml(text))
      for (const { value } of entriesAt(tree, 'services').values())
        findings.push(...ofService(look, path, value))
  }
  return findings
})

interface Given {
  readonly name: string
  /** Undefined: it is passed on from where compose runs. */
  readonly value: string | undefined
  readonly line: number
}

function ofService(look: Look, path: string, service: YamlTree): readonly Finding[] {
  const given = environmentOf(service).filter(({ name }) => isKeyName(name))
  return given.flatMap((one) => judge(look, path, one, envFilesOf(service)))
}

function environmentOf(service: YamlTree): readonly Given[] {
  const environment = at(service, 'environment')
  if (environment?.kind === 'map')
    return Array.from(environment.entries, ([name, { line, value }]) => ({
      name,
      line,
      value: value.kind === 'text' && !value.isNull ? value.text : value.kind === 'text' ? undefined : '?',
    }))
  return itemsAt(service, 'environment').flatMap((item) => {
    const match = item.kind === 'text' ? /^([^=]{1,100})(?:=([\s\S]*))?$/.exec(item.text) : null
    return match === null ? [] : [{ name: (match[1] ?? '').trim(), value: match[2], line: item.line }]
  })
}

function envFilesOf(service: YamlTree): readonly string[] {
  const files = at(service, 'env_file')
  const items = files?.kind === 'list' ? files.items : files === undefined ? [] : [files]
  return items.flatMap((item) => {
    const path = item.kind === 'text' ? item : at(item, 'path')
    return path?.kind === 'text' ? [path.text.replace(/^\.\//, '')] : []
  })
}

function judge(look: Look, path: string, given: Given, envFiles: readonly string[]): readonly Finding[] {
  const { name, value, line } = given
  const place = { kind: 'file', path, line, name } as const
  const fixed = `In ${describePlace(place)} write: - ${name}=\${${name}:?is not set}`
  if (value !== undefined && value.trim() === '')
    return [
      empty(
        place,
        `${describePlace(place)} sets ${name} to nothing.`,
        `${fixed}; then: export ${name}=<key>`,
      ),
    ]
  const reference = value === undefined ? name : referenceIn(value)
  if (reference === undefined)
    return value !== undefined && inspectKeyShape(value).core === 'placeholder' && !value.includes('$')
      ? [placeholder(place, value.length)]
      : []
  if (isGiven(look, path, reference)) return []
  // A variable that is passed on and unset leaves what env_file gives alone; a reference overwrites it with nothing.
  const folder = folderOf(path)
  const isInEnvFile = envFiles.some((file) => holds(look, inFolder(folder, file), name))
  if (value === undefined && isInEnvFile) return []
  const where = `neither the environment nor ${inFolder(folder, '.env')} sets ${reference}`
  return [
    empty(
      place,
      `${describePlace(place)} passes ${name} on, but ${where}${isInEnvFile ? '; what env_file gives is overwritten' : ''}.`,
      isInEnvFile
        ? `Take the line out of ${describePlace(place)}: env_file gives ${name} already.`
        : `export ${reference}=<key> && docker compose up --force-recreate`,
    ),
  ]
}

/** `${NAME}`, `$NAME`, `${NAME:-}`; what has a default or stops with a message is no mistake. */
function referenceIn(value: string): string | undefined {
  const match = /^\$(?:([A-Za-z_]\w{0,99})|\{([A-Za-z_]\w{0,99})(:?[-?+][\s\S]{0,500})?\})$/.exec(
    value.trim(),
  )
  if (match === null) return undefined
  const rest = match[3] ?? ''
  return rest === '' || /^:?-$/.test(rest) ? (match[1] ?? match[2]) : undefined
}

/** Compose takes the environment first, then the `.env` beside its file, or in the folder that it is started in. */
function isGiven(look: Look, path: string, name: string): boolean {
  return (
    isInEnvironment(look.context, name) ||
    holds(look, inFolder(folderOf(path), '.env'), name) ||
    holds(look, '.env', name)
  )
}

function holds({ facts }: Look, path: string, name: string): boolean {
  return facts.dotenv.some(
    (file) => file.path === path && file.variables.some((one) => one.name === name && one.text.length > 0),
  )
}

function empty(place: Place, seen: string, fix: string): Finding {
  return {
    code: 'compose_variable_empty',
    severity: 'error',
    seen,
    cause: 'Compose starts the container with an empty variable, so the program in it has no key.',
    fix,
    place,
  }
}

function placeholder(place: Place, length: number): Finding {
  return {
    code: 'key_placeholder',
    severity: 'error',
    seen: `${describePlace(place)} sets a placeholder of ${length} characters as the key.`,
    cause: 'The example text was never replaced, and the container starts with it.',
    fix: `In ${describePlace(place)} write: - OPENAI_API_KEY=\${OPENAI_API_KEY:?is not set}`,
    place,
  }
}
