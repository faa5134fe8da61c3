import { Command } from 'commander'
import { argumentTerm, type CommandSpec } from './command.ts'
import type { Io, Stream } from './io.ts'
import { json } from './specs/parts.ts'
import { groups, sections } from './specs.ts'
import { wrap } from './text.ts'

/** Does what a command line asks for. */
export type Perform = (
  spec: CommandSpec,
  args: readonly string[],
  values: Record<string, unknown>,
) => Promise<void>

/** The parser, with the help of every command. */
export function buildProgram(io: Pick<Io, 'stdout' | 'stderr' | 'version'>, perform: Perform): Command {
  const program = prepared(new Command('keyturn'), io)
    .enablePositionalOptions()
    .description('Makes sure that an application always holds an OpenAI API key that works.')
    .version(io.version(), '-v, --version', 'print the version')
    .commandsGroup('Help:')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText(
      'after',
      `\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 a person is needed.\nBegin with: keyturn serve --sandbox`,
    )
  const parents = new Map<string, Command>()
  for (const { title, specs } of sections) {
    for (const spec of specs) {
      const [first = '', second] = spec.name.split(' ')
      if (second === undefined) {
        // Its own options count before the name of a command inside of it, which has some of the same names.
        const command = addCommand(program, first, { spec, io, perform }).enablePositionalOptions()
        parents.set(first, command.helpGroup(`${title}:`))
        continue
      }
      let parent = parents.get(first)
      if (parent === undefined) {
        parent = prepared(program.command(first), io)
          .summary(groups[first] ?? '')
          .description(sentence(groups[first] ?? ''))
        parents.set(first, parent.helpGroup(`${title}:`))
      }
      addCommand(parent, second, { spec, io, perform })
    }
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
    command.argument(argumentTerm(argument), argument.description)
    if (argument.isCommand === true) command.passThroughOptions()
  }
  for (const option of spec.options) {
    if (option.isList === true) command.option(option.flags, option.description, collect)
    else command.option(option.flags, option.description)
  }
  command.option(json.flags, json.description)
  command.addHelpText('after', `\n${examplesOf(spec)}\n\n${exitsOf(spec, helpColumns(io.stdout))}`)
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
      getOutHelpWidth: () => helpColumns(stdout),
      getErrHelpWidth: () => helpColumns(stderr),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({ subcommandTerm: termOf })
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
}

function examplesOf({ examples }: CommandSpec): string {
  const title = examples.length === 1 ? 'Example:' : 'Examples:'
  return [title, ...examples.map((example) => `  ${example}`)].join('\n')
}

function exitsOf({ exits }: CommandSpec, columns: number): string {
  const rows = exits.split(/, (?=\d+ )/).flatMap((one) => {
    const [code = '', ...words] = one.split(' ')
    return wrap(words.join(' '), { columns, first: `  ${code.padEnd(5)}`, indent: 7 })
  })
  return ['Exit codes:', ...rows].join('\n')
}

/** All of them have options, so that is not said of each. */
function termOf(command: Command): string {
  const inside = command.registeredArguments.length === 0 ? command.commands.map((one) => one.name()) : []
  const args = command.registeredArguments.map((one) =>
    argumentTerm({ name: one.name(), isOptional: !one.required, isCommand: one.variadic }),
  )
  return [command.name(), ...(inside.length === 0 ? args : [inside.join('|')])].join(' ')
}

/** Long lines of sentences are hard to read. */
function helpColumns({ columns }: Stream): number {
  return Math.min(columns, 100)
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
