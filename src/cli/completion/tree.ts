import type { Offer, OptionSpec } from '../command.ts'
import { json } from '../specs/parts.ts'
import { groups, specs } from '../specs.ts'

/** What a shell has to know of a command, made from the specs. The scripts hold nothing else of them. */
export interface Place {
  /** The words before it: empty for `keyturn` alone, `token`, `token create`. */
  readonly at: string
  readonly commands: readonly Entry[]
  readonly options: readonly OptionEntry[]
  /** By position; the last one counts for none after it. */
  readonly args: readonly (Offer | undefined)[]
}

export interface Entry {
  readonly word: string
  readonly description: string
}

export interface OptionEntry extends Entry {
  readonly takesValue: boolean
  readonly offers: Offer | undefined
}

const help: OptionEntry = option({ flags: '--help', description: 'show this help' })

export function places(): readonly Place[] {
  const withWords = [...new Set(specs.flatMap(({ name }) => [name.split(' ')[0] ?? '', name]))]
  const root = {
    at: '',
    commands: commandsIn(''),
    options: [help, option({ flags: '--version', description: 'print the version' })],
    args: [],
  }
  return [root, ...withWords.map(placeOf)]
}

function placeOf(at: string): Place {
  const spec = specs.find(({ name }) => name === at)
  const options = spec === undefined ? [] : [...spec.options, json].map(option)
  return {
    at,
    commands: commandsIn(at),
    options: [...options, help],
    args: spec?.args.map(({ offers }) => offers) ?? [],
  }
}

/** The words that may come next. */
function commandsIn(at: string): readonly Entry[] {
  const depth = at === '' ? 0 : 1
  const found = new Map<string, Entry>()
  for (const { name, summary } of specs) {
    const words = name.split(' ')
    if (words.slice(0, depth).join(' ') !== at) continue
    const word = words[depth]
    if (word === undefined || found.has(word)) continue
    const isGroup = words.length > depth + 1
    found.set(word, { word, description: isGroup ? (groups[word] ?? summary) : summary })
  }
  return [...found.values()]
}

function option({ flags, description, offers }: OptionSpec): OptionEntry {
  const [word = '', value] = flags.split(' ')
  return { word, description: firstSentence(description), takesValue: value !== undefined, offers }
}

function firstSentence(text: string): string {
  return /^.*?(?=[.;](?:\s|$))/.exec(text)?.[0] ?? text
}

/** Every option that a value follows; none of them is a switch elsewhere. */
export function valueOptions(): readonly string[] {
  const all = places().flatMap((place) => place.options)
  return [...new Set(all.filter(({ takesValue }) => takesValue).map(({ word }) => word))]
}

/** Text in single quotes as bash and zsh read it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** A function of bash and zsh: whether an option is followed by its value. */
export function takesValue(): string {
  return `_keyturn_takes_value() {
  case "$1" in
    ${valueOptions().join(' | ')}) return 0 ;;
    *) return 1 ;;
  esac
}`
}
