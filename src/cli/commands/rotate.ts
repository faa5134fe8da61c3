import { argument, type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { short } from '../text.ts'
import { watchRotation } from '../watch.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, options } = context
  const isEmergency = options.has('emergency')
  if (options.has('compromised') && !isEmergency) {
    throw usage(
      '--compromised goes with --emergency',
      'Add --emergency: a key in the wrong hands cannot wait.',
    )
  }
  if (options.has('rehearse') && isEmergency) {
    throw usage('--rehearse and --emergency exclude each other', 'Leave one of them out.')
  }
  const reason = options.text('reason')
  const api = await context.api()
  const rotation = await api.rotate(argument(context, 0), {
    mode: isEmergency ? 'emergency' : options.has('rehearse') ? 'rehearsal' : 'normal',
    ...(options.has('compromised') ? { isCompromised: true } : {}),
    ...(reason === undefined ? {} : { reason }),
  })
  if (options.has('wait')) return await watchRotation(context, api, rotation)
  out.result(rotation, () => [
    `${rotation.credential}: rotation ${short(rotation.id)} has started (${rotation.phase})`,
    `  watch it with 'keyturn status ${rotation.credential}'`,
  ])
  return exitCodes.done
}
