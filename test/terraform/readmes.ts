import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Expression, textOf } from './hcl.ts'
import { type Module, ofType, textIn, valueOf } from './modules.ts'

const marked = /(<!-- generated: (inputs|outputs) -->\n)[\s\S]*?(\n<!-- end -->)/g

/** The README of a module as it should be: its tables made anew of the variables and outputs. */
export function readmeOf(module: Module): {
  readonly path: string
  readonly text: string
  readonly made: string
} {
  const path = join(module.folder, 'README.md')
  const text = readFileSync(path, 'utf8')
  const tables = { inputs: inputsOf(module), outputs: outputsOf(module) }
  const made = text.replaceAll(
    marked,
    (_all, begin: string, name: keyof typeof tables, end: string) => `${begin}\n${tables[name]}\n${end}`,
  )
  return { path, text, made }
}

/** The names of the tables that it holds. */
export function tablesOf(text: string): readonly string[] {
  return [...text.matchAll(marked)].map(([, , name = '']) => name)
}

/** Those that are needed come first. */
function inputsOf(module: Module): string {
  const variables = ofType(module, 'variable').map((variable) => ({
    name: variable.labels[0] ?? '',
    type: typeText(valueOf(variable, 'type')),
    default: valueOf(variable, 'default'),
    description: textIn(variable, 'description') ?? '',
  }))
  const needed = variables.filter((one) => one.default === undefined)
  const rest = variables.filter((one) => one.default !== undefined)
  const rows = [...needed, ...rest].map((one) => [
    `\`${one.name}\``,
    `\`${one.type}\``,
    one.default === undefined ? 'needed' : `\`${valueText(one.default)}\``,
    one.description,
  ])
  return table(['input', 'type', 'default', 'what it says'], rows)
}

function outputsOf(module: Module): string {
  const rows = ofType(module, 'output').map((output) => [
    `\`${output.labels[0] ?? ''}\``,
    textIn(output, 'description') ?? '',
  ])
  return table(['output', 'what it is'], rows)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

function typeText(type: Expression | undefined): string {
  if (type?.kind === 'reference') return type.steps.filter((step) => typeof step === 'string').join('.')
  if (type?.kind === 'object')
    return `{ ${type.entries.map(({ key, value }) => `${textOf(key) ?? ''} = ${typeText(value)}`).join(', ')} }`
  if (type?.kind !== 'call') return 'any'
  const [of, otherwise] = type.args
  if (type.name === 'object') return typeText(of)
  if (type.name === 'optional')
    return `optional(${typeText(of)}${otherwise === undefined ? '' : `, ${valueText(otherwise)}`})`
  return `${type.name}(${typeText(of)})`
}

function valueText(value: Expression): string {
  if (value.kind === 'object')
    return value.entries.length === 0
      ? '{}'
      : `{ ${value.entries.map((entry) => `${textOf(entry.key) ?? ''} = ${valueText(entry.value)}`).join(', ')} }`
  if (value.kind === 'list') return `[${value.items.map(valueText).join(', ')}]`
  return JSON.stringify(textOf(value) ?? (value.kind === 'literal' ? value.value : undefined))
}
