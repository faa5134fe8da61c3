import type { CommandSpec } from '../../src/cli/command.ts'
import { json } from '../../src/cli/specs/parts.ts'
import { sections } from '../../src/cli/specs.ts'

/** man/keyturn.1, made from the specs. `npm run man` writes it; a test says when it is not what they say any more. */
export function manPage(version: string): string {
  return `${[
    '.\\" Made from src/cli/specs.ts by npm run man.',
    `.TH KEYTURN 1 "" "Keyturn ${version}" "User Commands"`,
    // Words and command lines are not to be torn apart or stretched.
    '.nh',
    '.ad l',
    '.SH NAME',
    'keyturn \\- makes sure that an application always holds an OpenAI API key that works',
    '.SH SYNOPSIS',
    '.B keyturn',
    '.I command',
    '.RI [ argument " ...] [" option " ...]"',
    '.br',
    '.B keyturn help',
    '.RI [ command ]',
    '.SH DESCRIPTION',
    paragraph(
      'Keyturn keeps OpenAI keys in the secret store that a team already has, proves them, hands out only proven ones, and turns them every quarter or on demand without dropping a request.',
    ),
    '.PP',
    paragraph(
      'Results go to standard output, everything else to standard error. Secrets are read from standard input or files, never from arguments.',
    ),
    '.SH COMMANDS',
    ...sections.flatMap(({ title, specs }) => [`.SS ${text(title)}`, ...specs.flatMap(commandLines)]),
    '.SH OPTIONS',
    paragraph('Every command has these.'),
    ...item(bold(json.flags), json.description),
    ...item(`${bold('-h')}, ${bold('--help')}`, 'Show the help of the command.'),
    '.PP',
    paragraph('Without a command:'),
    ...item(`${bold('-v')}, ${bold('--version')}`, 'Print the version.'),
    '.SH "EXIT STATUS"',
    ...exits.flatMap(([code, meaning]) => item(bold(code), meaning)),
    '.SH ENVIRONMENT',
    ...variables.flatMap(([name, meaning]) => item(bold(name), meaning)),
    '.SH FILES',
    ...item(
      bold('keyturn.yaml'),
      'The configuration, in the working directory or where KEYTURN_CONFIG says.',
    ),
    ...item(bold('.keyturn/'), 'Tokens, state and audit, where KEYTURN_HOME says nothing else.'),
    '.SH EXAMPLES',
    ...example('To try it out, with a local OpenAI:', 'keyturn serve --sandbox'),
    ...example('To turn a key and see the old one dead:', 'keyturn rotate openai --wait'),
    ...example('To see what is wrong, and what to do:', 'keyturn status'),
  ].join('\n')}\n`
}

const exits: readonly (readonly [code: string, meaning: string])[] = [
  ['0', 'Done.'],
  ['1', 'Failed.'],
  ['2', 'Wrong usage.'],
  ['3', 'A person is needed: halted, confirmation needed, no verified key.'],
  ['130', 'Interrupted with Ctrl-C; what runs in the service goes on.'],
]

const variables: readonly (readonly [name: string, meaning: string])[] = [
  ['KEYTURN_URL', 'Where the service is: http://HOST:PORT, https://HOST or unix:PATH.'],
  ['KEYTURN_HOME', 'The folder of tokens, state and audit. Default: .keyturn in the working directory.'],
  ['KEYTURN_CONFIG', 'The configuration file. Default: keyturn.yaml in the working directory.'],
  ['KEYTURN_OPERATOR_TOKEN, KEYTURN_OPERATOR_TOKEN_FILE', 'The token of an operator, or the file it is in.'],
  ['KEYTURN_TOKEN, KEYTURN_TOKEN_FILE', 'The token of an app, or the file it is in.'],
  ['KEYTURN_CA_FILE', 'The authority that signs for the service, as PEM.'],
  ['KEYTURN_CLIENT_CERT_FILE, KEYTURN_CLIENT_KEY_FILE', 'A client certificate to show, and its key, as PEM.'],
  ['NO_COLOR, FORCE_COLOR', 'No colours, and colours through a pipe as well; the former goes first.'],
]

function commandLines(spec: CommandSpec): readonly string[] {
  const args = spec.args.map(({ name, isOptional, isCommand }) =>
    isOptional === true ? `[${italic(name)}]` : `${italic(name)}${isCommand === true ? ' ...' : ''}`,
  )
  const rows = [
    ...spec.args.map(({ name, description }) => item(italic(name), description)),
    ...spec.options.map(({ flags, description }) => item(flagsOf(flags), description)),
  ]
  return [
    '.TP',
    [bold(`keyturn ${spec.name}`), ...args].join(' '),
    paragraph(`${spec.summary.charAt(0).toUpperCase()}${spec.summary.slice(1)}. ${spec.details}`),
    '.RS',
    ...rows.flat(),
    '.PP',
    ...spec.examples.flatMap((line) => ['.EX', text(line), '.EE']),
    '.PP',
    paragraph(`Exit status: ${spec.exits}.`),
    '.RE',
  ]
}

function flagsOf(flags: string): string {
  const [word = '', value] = flags.split(' ')
  return value === undefined ? bold(word) : `${bold(word)} ${italic(value.replace(/[<>]/g, ''))}`
}

function item(term: string, description: string): readonly string[] {
  return ['.TP', term, paragraph(description)]
}

function example(what: string, line: string): readonly string[] {
  return ['.PP', paragraph(what), '.PP', '.EX', text(line), '.EE']
}

function bold(words: string): string {
  return `\\fB${text(words)}\\fR`
}

function italic(words: string): string {
  return `\\fI${text(words)}\\fR`
}

/** One sentence a line, as roff wants it. */
function paragraph(words: string): string {
  return words
    .split(/(?<=[.;]) /)
    .map(text)
    .join('\n')
}

/** As roff prints it letter for letter: what begins a line with a dot or a quote would be a request. */
function text(words: string): string {
  return words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replace(/^\./, '\\&.')
}
