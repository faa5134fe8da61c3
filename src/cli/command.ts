import { KeyturnError } from '../core/errors.ts'
import type { Api } from './api.ts'
import type { ExitCode } from './exit.ts'
import type { Io } from './io.ts'
import type { Output } from './output.ts'
import { findTarget, findToken, type Role, type Target } from './target.ts'

/** What every command gets. */
export interface Context {
  readonly io: Io
  readonly out: Output
  readonly args: readonly string[]
  readonly options: Options
  /** Connects to the service as this role; errors say how to start it or where the token is looked for. */
  api(role?: Role): Promise<Api>
  readonly target: () => Promise<Target>
}

export interface Options {
  /** Whether a switch was given. */
  has(name: string): boolean
  text(name: string): string | undefined
  list(name: string): readonly string[]
}

export interface CommandModule {
  run(context: Context): Promise<ExitCode>
}

/** What completion offers for a value: these words, files, or what the service has of a kind. */
export type Offer = readonly string[] | 'files' | ServiceOffer

export const serviceOffers = [
  'credentials',
  'versions',
  'rotations',
  'approvals',
  'instances',
  'tokens',
  'token-names',
] as const

export type ServiceOffer = (typeof serviceOffers)[number]

export interface ArgumentSpec {
  readonly name: string
  readonly description: string
  readonly isOptional?: boolean
  /** Takes all that follows, options and empty words too, as it is: a command of somebody else. */
  readonly isCommand?: boolean
  readonly offers?: Offer
}

export interface OptionSpec {
  /** As commander has it: `--reason <text>`. */
  readonly flags: string
  readonly description: string
  /** May be given several times. */
  readonly isList?: boolean
  /** For the value that it takes. */
  readonly offers?: Offer
}

export interface CommandSpec {
  /** `rotate`, or `token create` for one inside of a group. */
  readonly name: string
  /** `<name> [version]` */
  readonly args: readonly ArgumentSpec[]
  readonly summary: string
  readonly details: string
  readonly options: readonly OptionSpec[]
  /** Whole command lines, the most common one first. */
  readonly examples: readonly [string, ...string[]]
  readonly exits: string
  readonly load: () => Promise<CommandModule>
}

export function createContext(input: {
  readonly io: Io
  readonly out: Output
  readonly args: readonly string[]
  readonly values: Readonly<Record<string, unknown>>
}): Context {
  const { io, values } = input
  let found: Promise<Target> | undefined
  const target = (): Promise<Target> => {
    found ??= findTarget(io)
    return found
  }
  return {
    io,
    out: input.out,
    args: input.args,
    options: {
      has: (name) => values[name] === true,
      text: (name) => {
        const value = values[name]
        return typeof value === 'string' ? value : undefined
      },
      list: (name) => {
        const value = values[name]
        return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
      },
    },
    target,
    async api(role = 'operator') {
      const [{ createApi }, found, { randomUUID }] = await Promise.all([
        import('./api.ts'),
        target(),
        import('node:crypto'),
      ])
      const token = findToken(io, found, role)
      return createApi({ address: found.address, token, idempotencyKey: () => randomUUID() })
    },
  }
}

/** The argument at this place; the parser has seen to it that required ones are there. */
export function argument(context: Context, index: number): string {
  return context.args[index] ?? ''
}

/** The service takes none that is longer. */
const reasonCharsMax = 500

/** What `--reason` says. */
export function reasonOf(options: Options): string | undefined {
  const reason = options.text('reason')
  if (reason === undefined || reason.length <= reasonCharsMax) return reason
  throw usage(
    `--reason takes at most ${reasonCharsMax} characters, and these are ${reason.length}`,
    'Shorten it; what is longer belongs in a ticket that it names.',
  )
}

/** `<name>`, `[name]`, or `<command...>` for one that takes all that follows. */
export function argumentTerm({
  name,
  isOptional,
  isCommand,
}: Pick<ArgumentSpec, 'name' | 'isOptional' | 'isCommand'>): string {
  const term = isCommand === true ? `${name}...` : name
  return isOptional === true ? `[${term}]` : `<${term}>`
}

export function usage(message: string, fix: string): KeyturnError {
  return new KeyturnError('usage', message, { fix })
}
