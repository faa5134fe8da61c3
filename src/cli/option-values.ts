import { durationMs, parseDuration } from '../config/duration.ts'
import { type Options, usage } from './command.ts'

/**
 * What an option of a length of time says, in milliseconds; `without` where it is not given. The bounds are durations
 * themselves, inclusive; defaults: none. Error: `usage`, with the bounds.
 */
export function durationOption<Without extends number | undefined>(
  options: Options,
  flag: string,
  range: { readonly without: Without; readonly least?: string; readonly most?: string },
): number | Without {
  const { without, least, most } = range
  const text = options.text(nameOf(flag))
  if (text === undefined) return without
  const ms = parseDuration(text)
  const isWithin = ms !== undefined && ms >= boundMs(least, 0) && ms <= boundMs(most, Number.MAX_SAFE_INTEGER)
  if (isWithin) return ms
  const bounds = [
    ...(least === undefined ? [] : [`at least ${least}`]),
    ...(most === undefined ? [] : [`at most ${most}`]),
  ]
  const what = ['a duration', bounds.join(' and ')].filter((part) => part !== '').join(' of ')
  throw usage(`${flag} takes ${what}`, `E.g. ${flag} 30s.`)
}

function boundMs(text: string | undefined, without: number): number {
  return text === undefined ? without : durationMs(text)
}

/** What an option that takes a whole number says, from 1 to `max`; undefined where it is not given. Error: `usage`. */
export function countOption(options: Options, flag: string, max: number): number | undefined {
  const text = options.text(nameOf(flag))
  if (text === undefined) return undefined
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (count >= 1 && count <= max) return count
  throw usage(`${flag} takes a whole number`, `From 1 to ${max}.`)
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
