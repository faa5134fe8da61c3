import { CommanderError } from 'commander'
import { type ErrorCode, KeyturnError } from '../core/errors.ts'
import { looksLikeKey, redactKeys } from '../core/key-shape.ts'
import { nearest } from '../core/nearest.ts'
import { type CommandSpec, createContext } from './command.ts'
import { type ExitCode, exitCodeOf, exitCodes, Interrupted } from './exit.ts'
import { faultOf } from './fault.ts'
import type { Io } from './io.ts'
import { createOutput } from './output.ts'
import { buildProgram, type Perform } from './program.ts'
import { groups, specs } from './specs.ts'

/** What bin/keyturn.js calls: the command line in this process. Resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<ExitCode> {
  const { realIo } = await import('./real-io.ts')
  return await run(argv, realIo())
}

/** Runs one command line (without `node` and the script) and resolves with the exit code; never rejects. */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = exitCodes.done
  const perform: Perform = async (spec, args, values) => {
    const out = createOutput({ ...io, isJson: values['json'] === true })
    try {
      assertNoKey(args)
      assertFilled(spec, args, values)
      const command = await spec.load()
      code = await command.run(createContext({ io, out, args, values }))
    } catch (thrown) {
      if (thrown instanceof Interrupted) {
        out.note(thrown.message)
        code = exitCodes.interrupted
        return
      }
      const error = withGuess(faultOf(thrown, `keyturn ${spec.name} failed`), argv)
      out.error(error)
      code = exitCodeOf(error.code)
    }
  }
  try {
    await buildProgram(io, perform).parseAsync(asParsed(argv), { from: 'user' })
    return code
  } catch (thrown) {
    return exitOf(thrown, argv, io)
  }
}

/** The parser ends help and wrong usage alike with an error; only the latter is one. */
function exitOf(thrown: unknown, argv: readonly string[], io: Io): ExitCode {
  const isShown = thrown instanceof CommanderError
  if (isShown && thrown.exitCode === 0) return exitCodes.done
  const out = createOutput({ ...io, isJson: argv.includes('--json') })
  if (!isShown) {
    const error = faultOf(thrown, 'keyturn failed')
    out.error(error)
    return exitCodeOf(error.code)
  }
  // Called without a command: the help has been shown already.
  if (thrown.code === 'commander.help') return exitCodes.usage
  // The parser quotes what it did not expect, and that may be a key given as an argument.
  const message = redactKeys(thrown.message.replace(/^error: /, '').replace(/(but got \d+): .*/s, '$1'))
  const [first = '', ...rest] = message.split('\n')
  const guess = rest
    .join(' ')
    .trim()
    .replace(/^\(|\)$/g, '')
  out.error(new KeyturnError('usage', first, { fix: fixOfUsage(argv, { first, guess }) }))
  return exitCodes.usage
}

function fixOfUsage(
  argv: readonly string[],
  told: { readonly first: string; readonly guess: string },
): string {
  if (argv.some(looksLikeKey)) return keyAsArgument
  if (told.first === "unknown option '--json'") return 'Put it after the command: keyturn status --json.'
  const spec = /\bmissing\b/.test(told.first) ? specOf(argv) : undefined
  if (spec !== undefined) return `As in '${spec.examples[0]}'. See 'keyturn ${spec.name} --help'.`
  const help = "See 'keyturn --help' or 'keyturn COMMAND --help'."
  const guess = guessedCommand(argv) ?? told.guess
  return guess === '' ? help : `${guess} ${help}`
}

function specOf([first, second]: readonly string[]): CommandSpec | undefined {
  return specs.find(({ name }) => name === `${first} ${second}`) ?? specs.find(({ name }) => name === first)
}

/** An empty argument or option is a variable that was not set, and must not become another command than was meant. */
function assertFilled(
  spec: CommandSpec,
  args: readonly string[],
  values: Readonly<Record<string, unknown>>,
): void {
  const argument = spec.args.find(({ isCommand }, index) => isCommand !== true && args[index]?.trim() === '')
  const option = Object.entries(values).find(([, value]) => [value].flat().some(isBlank))
  if (argument === undefined && option === undefined) return
  const what =
    argument === undefined
      ? `the option '--${(option?.[0] ?? '').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}'`
      : `the argument '${argument.name}'`
  throw new KeyturnError('usage', `${what} is empty`, {
    fix: 'Give it, or look at the variable that it was to come from.',
  })
}

function isBlank(value: unknown): boolean {
  return typeof value === 'string' && value.trim() === ''
}

/** No argument is a key: whatever else is wrong, that one is in the wrong place. */
function assertNoKey(args: readonly string[]): void {
  if (args.some(looksLikeKey))
    throw new KeyturnError('usage', 'a key is among the arguments', { fix: keyAsArgument })
}

const keyAsArgument =
  'A key among the arguments can be read by every process and stays in the history of the shell: give it on standard input (keyturn bring NAME < FILE), and replace that key.'

/**
 * What the parser is to see. Its own `help` ends at the first word, and where help is asked of a command that is not there, it
 * shows that of all as if nothing were wrong.
 */
function asParsed(argv: readonly string[]): string[] {
  const isHelp = argv[0] === 'help'
  const words = isHelp ? argv.slice(1) : argv
  const [first = '', second = ''] = words
  const isWord = (word: string): boolean => word !== '' && !word.startsWith('-')
  if (first.trim() === '' && words.length > 0)
    throw new KeyturnError('usage', 'the command is empty', {
      fix: 'Give it, or look at the variable that it was to come from.',
    })
  if (!isWord(first)) return [...argv]
  if (!specs.some(({ name }) => name.split(' ')[0] === first) && first !== 'help') return [first]
  const isUnknown =
    first in groups && isWord(second) && !specs.some(({ name }) => name === `${first} ${second}`)
  if (isUnknown) return [first, second]
  return isHelp ? [...words, '--help'] : [...argv]
}

/** Where a command has others inside of it, a mistyped one of these is taken for its argument. */
function guessedCommand([first = '', second = '']: readonly string[]): string | undefined {
  const inside = specs.flatMap(({ name }) =>
    name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : [],
  )
  const near = inside.includes(second) ? undefined : nearest(second, inside)
  return near === undefined ? undefined : `Did you mean 'keyturn ${first} ${near}'?`
}

const namesMayBeWrong: readonly ErrorCode[] = [
  'not_found',
  'bad_request',
  'service_unreachable',
  'unauthenticated',
]

function withGuess(error: KeyturnError, argv: readonly string[]): KeyturnError {
  const { code, message, fix, cause } = error
  const guess = namesMayBeWrong.includes(code) ? guessedCommand(argv) : undefined
  if (guess === undefined) return error
  return new KeyturnError(code, message, { fix: fix === undefined ? guess : `${guess} ${fix}`, cause })
}
