import { Command, CommanderError } from 'commander'
import { KeyturnError } from '../core/errors.ts'
import { looksLikeKey, redactKeys } from '../core/key-shape.ts'
import { type CommandSpec, createContext } from './command.ts'
import { type ExitCode, exitCodeOf, exitCodes, Interrupted } from './exit.ts'
import { faultOf } from './fault.ts'
import type { Io } from './io.ts'
import { createOutput } from './output.ts'
import { groups, specs } from './specs.ts'

/** What bin/keyturn.js calls: the command line in this process. Resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<ExitCode> {
  const { realIo } = await import('./real-io.ts')
  return await run(argv, realIo())
}

/** Runs one command line (without `node` and the script) and resolves with the exit code; never rejects. */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = exitCodes.done
  const perform = async (spec: CommandSpec, args: readonly string[], values: Record<string, unknown>) => {
    const out = createOutput({ ...io, isJson: values['json'] === true })
    try {
      assertFilled(spec, args)
      const command = await spec.load()
      code = await command.run(createContext({ io, out, args, values }))
    } catch (thrown) {
      if (thrown instanceof Interrupted) {
        out.note(thrown.message)
        code = exitCodes.interrupted
        return
      }
      const error = faultOf(thrown, `keyturn ${spec.name} failed`)
      out.error(error)
      code = exitCodeOf(error.code)
    }
  }
  try {
    await buildProgram(io, perform).parseAsync([...argv], { from: 'user' })
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
    out.error(faultOf(thrown, 'keyturn failed'))
    return exitCodes.failed
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
  if (argv.some(looksLikeKey)) {
    return 'A key among the arguments can be read by every process and stays in the history of the shell: give it on standard input (keyturn bring NAME < FILE), and replace that key.'
  }
  if (told.first === "unknown option '--json'") return 'Put it after the command: keyturn status --json.'
  const help = "See 'keyturn --help' or 'keyturn COMMAND --help'."
  return told.guess === '' ? help : `${told.guess} ${help}`
}

/** An empty argument is a variable that was not set, and must not become another command than was meant. */
function assertFilled(spec: CommandSpec, args: readonly string[]): void {
  const empty = spec.args.find((_, index) => args[index]?.trim() === '')
  if (empty === undefined) return
  throw new KeyturnError('usage', `the argument '${empty.name}' is empty`, {
    fix: 'Give it, or look at the variable that it was to come from.',
  })
}

type Perform = (spec: CommandSpec, args: readonly string[], values: Record<string, unknown>) => Promise<void>

export function buildProgram(io: Pick<Io, 'stdout' | 'stderr' | 'version'>, perform: Perform): Command {
  const program = prepared(new Command('keyturn'), io)
    .enablePositionalOptions()
    .description('Makes sure that an application always holds an OpenAI API key that works.')
    .version(io.version(), '-v, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText(
      'after',
      `\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 a person is needed.\nBegin with: keyturn serve --sandbox`,
    )
  const parents = new Map<string, Command>()
  for (const spec of specs) {
    const [first = '', second] = spec.name.split(' ')
    if (second === undefined) {
      // Its own options count before the name of a command inside of it, which has some of the same names.
      parents.set(first, addCommand(program, first, { spec, io, perform }).enablePositionalOptions())
      continue
    }
    let parent = parents.get(first)
    if (parent === undefined) {
      parent = prepared(program.command(first), io).description(groups[first] ?? '')
      parents.set(first, parent)
    }
    addCommand(parent, second, { spec, io, perform })
  }
  return program
}

function addCommand(
  parent: Command,
  name: string,
  {
    spec,
    io,
    perform,
  }: { readonly spec: CommandSpec; readonly io: Pick<Io, 'stdout' | 'stderr'>; readonly perform: Perform },
): Command {
  const command = prepared(parent.command(name), io).summary(spec.summary)
  command.description(`${sentence(spec.summary)} ${spec.details}`)
  for (const argument of spec.args) {
    command.argument(
      argument.isOptional === true ? `[${argument.name}]` : `<${argument.name}>`,
      argument.description,
    )
  }
  for (const option of spec.options) {
    if (option.isList === true) command.option(option.flags, option.description, collect, [])
    else command.option(option.flags, option.description)
  }
  command.option('--json', 'Print the result as JSON, and errors as one line of JSON.')
  command.addHelpText('after', `\nExample:\n  ${spec.example}\n\nExit codes: ${spec.exits}`)
  command.action(async () => await perform(spec, command.args, command.opts()))
  return command
}

function prepared(command: Command, { stdout, stderr }: Pick<Io, 'stdout' | 'stderr'>): Command {
  return command
    .exitOverride()
    .allowExcessArguments(false)
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      // Errors are told by `exitOf`, in the form that all errors have.
      outputError: () => undefined,
      getOutHelpWidth: () => Math.min(stdout.columns, 100),
      getErrHelpWidth: () => Math.min(stderr.columns, 100),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
