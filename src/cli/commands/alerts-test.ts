import type { Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'

/** What the service could send, channel by channel. */
export async function run(context: Context): Promise<ExitCode> {
  const {
    args: [channel],
    out,
  } = context
  const items = await (await context.api()).testAlerts(channel)
  out.result({ items }, () =>
    items.map(({ channel: name, kind, isDelivered, failure }) =>
      isDelivered ? `${name} (${kind}): delivered` : `${name} (${kind}): not delivered: ${failure ?? ''}`,
    ),
  )
  return items.every(({ isDelivered }) => isDelivered) ? exitCodes.done : exitCodes.needsHuman
}
