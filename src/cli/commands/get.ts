import { nearest } from '../../core/nearest.ts'
import { credentialFields } from '../choices.ts'
import { argument, type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, io } = context
  const field = fieldOf(context.options.text('field') ?? 'apiKey')
  const api = await context.api('app')
  const answer = await api.credential(argument(context, 0))
  if (out.isJson) out.result(answer, () => [])
  else out.raw(String(answer[field] ?? ''))
  if (io.stdout.isTerminal && (out.isJson || field === 'apiKey')) {
    out.warn(
      'the key is now on your screen and in its scrollback; use "$(keyturn get NAME)" to pass it on unseen',
    )
  }
  return exitCodes.done
}

function fieldOf(text: string): (typeof credentialFields)[number] {
  const found = credentialFields.find((field) => field === text)
  if (found !== undefined) return found
  const near = nearest(text, credentialFields)
  const hint = near === undefined ? '' : `Did you mean '${near}'? `
  throw usage('there is no such field', `${hint}There are: ${credentialFields.join(', ')}.`)
}
