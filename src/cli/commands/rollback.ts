import { argument, type Context, reasonOf } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { short } from '../text.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, options } = context
  const to = options.text('to')
  const reason = reasonOf(options)
  const api = await context.api()
  const summary = await api.rollback(argument(context, 0), {
    ...(to === undefined ? {} : { to }),
    ...(reason === undefined ? {} : { reason }),
  })
  const { current } = summary
  out.result(summary, () => [
    current === null
      ? `${summary.name}: nothing is handed out`
      : `${summary.name}: version ${short(current.version)} (${current.fingerprint}) is handed out again`,
  ])
  return exitCodes.done
}
