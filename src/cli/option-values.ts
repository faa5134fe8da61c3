import { parseDuration } from '../config/duration.ts'
import { type Options, usage } from './command.ts'

/** What an option of a length of time says, in milliseconds; `without` where it is not given. Error: `usage`. */
export function durationOption(
  options: Options,
  flag: string,
  range: { readonly without: number; readonly max: number },
): number {
  const text = options.text(nameOf(flag))
  if (text === undefined) return range.without
  const ms = parseDuration(text)
  if (ms !== undefined && ms <= range.max) return ms
  throw usage(`${flag} takes a duration of at most ${range.max / 60_000}m`, `E.g. ${flag} 30s.`)
}

/** What an option that takes one of a few words says. Error: `usage`, with the words. */
export function wordOption<Word extends string>(
  options: Options,
  flag: string,
  { words, without }: { readonly words: readonly Word[]; readonly without: Word },
): Word {
  const text = options.text(nameOf(flag))
  if (text === undefined) return without
  const found = words.find((word) => word === text)
  if (found !== undefined) return found
  throw usage(`${flag} does not take '${text}'`, `There are: ${words.join(', ')}.`)
}

const variablePattern = /^[A-Za-z_]\w{0,127}$/

/** A name that every shell takes for one of a variable. Error: `usage`. */
export function variableName(flag: string, name: string): string {
  if (variablePattern.test(name)) return name
  throw usage(`${flag} takes the name of a variable`, `E.g. ${flag} OPENAI_API_KEY.`)
}

/** As the parser calls it: `--on-rotation` is `onRotation`. */
function nameOf(flag: string): string {
  return flag.slice(2).replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}
