import { resolve } from 'node:path'
import type { TokenAnswer } from '../api/types.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Context, OptionSpec } from './command.ts'
import { faultOf } from './fault.ts'
import type { Tokens } from './tokens.ts'

export const outputOption: OptionSpec = {
  flags: '--output <file>',
  description: 'Writes the token into this file (0600) and prints none.',
}

/** The file of --output; undefined where the token is printed. `file_unusable` where it could not be written, before there is a token. */
export function tokenFile({ io, options }: Context): string | undefined {
  const file = options.text('output')
  if (file === undefined) return undefined
  const path = resolve(io.cwd, file)
  try {
    io.assertWritable(path)
  } catch (error) {
    throw faultOf(error, 'the token could not be written')
  }
  return path
}

/** A token of another name may be in it, which nobody could bring back. */
export function assertAbsent({ io }: Context, file: string | undefined): void {
  if (file === undefined || io.readFile(file) === undefined) return
  throw new KeyturnError('file_unusable', `there is a file ${file} already`, {
    fix: "Name another one with --output, or move that one away. A name's next token is made by 'keyturn token rotate', which replaces the file.",
  })
}

/**
 * Shows a token, once, with a sentence about it; or writes it into the file, whole, so that whoever reads the file meanwhile has the one before.
 * `file_unusable` where it cannot be written: the token is then revoked, since nobody has it.
 */
export async function handOver(context: Context, { answer, told, file, tokens }: Handing): Promise<void> {
  const { io, out } = context
  const { token, ...shown } = answer
  if (file === undefined) {
    if (out.isJson) return out.result(answer, () => [])
    out.note(`${told}, shown only now:`)
    return out.raw(token)
  }
  try {
    io.writePrivateFile(file, `${token}\n`)
  } catch (error) {
    const { message } = faultOf(error, 'the token could not be written')
    const isRevoked = await tokens.revoke(answer.id).then(
      () => true,
      () => false,
    )
    throw new KeyturnError(
      'file_unusable',
      isRevoked
        ? `${message}; the token ${answer.id} was revoked, since nobody has it`
        : `${message}; nobody has the token ${answer.id}, and it could not be revoked`,
      {
        fix: `${isRevoked ? '' : `Revoke it (keyturn token revoke ${answer.id}). `}Name a file with --output in a folder that is yours, and run it again.`,
        cause: error,
      },
    )
  }
  out.result({ ...shown, path: file }, () => [told, `  written to ${file}`])
}

export interface Handing {
  readonly answer: TokenAnswer
  /** What it is, without an end. */
  readonly told: string
  readonly file: string | undefined
  readonly tokens: Pick<Tokens, 'revoke'>
}
