import type { Api } from '../api.ts'
import { showBlastRadius } from '../blast-radius.ts'
import { argument, type Context, reasonOf, usage } from '../command.ts'
import { confirmed } from '../confirm.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { rotateAll } from '../rotate-all.ts'
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
  if (options.text('confirm') !== undefined && !options.has('compromised')) {
    throw usage('--confirm goes with --compromised', 'Leave it out: nothing else wants the name.')
  }
  if (options.has('rehearse') && isEmergency) {
    throw usage('--rehearse and --emergency exclude each other', 'Leave one of them out.')
  }
  const reason = reasonOf(options)
  const name = argument(context, 0)
  const mode = isEmergency ? 'emergency' : options.has('rehearse') ? 'rehearsal' : 'normal'
  const asked = {
    mode,
    ...(options.has('inBlackout') ? { inBlackout: true } : {}),
    ...(reason === undefined ? {} : { reason }),
  } as const
  if (options.has('all')) {
    if (name !== '') throw usage('--all and a name exclude each other', 'Leave one of them out.')
    if (options.has('compromised'))
      throw usage('--compromised is for one credential', 'Name it: who loses its key is shown for each.')
    return await rotateAll(context, asked)
  }
  const only = ['match', 'wave', 'pause', 'since'].find((one) => options.text(one) !== undefined)
  if (only !== undefined) throw usage(`--${only} goes with --all`, 'Add --all, or leave it out.')
  if (name === '') throw usage('no credential was named', 'Name one: keyturn rotate openai; or --all.')
  const api = await context.api()
  const confirm = options.has('compromised') ? await confirmedLoss(context, api, name) : undefined
  const rotation = await api.rotate(name, {
    ...asked,
    ...(confirm === undefined ? {} : { isCompromised: true, confirm }),
  })
  // What a rehearsal finds out is all that there is to it.
  if (options.has('wait') || options.has('rehearse')) return await watchRotation(context, api, rotation)
  // By hand it goes no further than to the person who asks.
  const isByHand = mode === 'normal' && rotation.phase !== 'done' && (await isManual(api, name))
  out.result(rotation, () =>
    // An exchange of a workload identity is over when it is answered, and so is a spare that takes over.
    rotation.phase === 'done'
      ? [
          `${rotation.credential}: rotation ${short(rotation.id)} is done (${rotation.outcome ?? 'ended'})`,
          ...rotation.steps.map((step) => `  ${step.note}`),
        ]
      : [
          `${rotation.credential}: rotation ${short(rotation.id)} has started (${rotation.phase})`,
          ...(isByHand ? [`  it waits for the key that you make: keyturn bring ${name} < key.txt`] : []),
          `  watch it with 'keyturn status ${rotation.credential} --watch'`,
        ],
  )
  return exitCodes.done
}

/** The old key goes whoever uses it: whoever asks for that has seen who does. */
async function confirmedLoss(context: Context, api: Api, name: string): Promise<string> {
  await showBlastRadius(context, api, { name })
  const what = `The key of '${name}' is revoked as soon as a new one is out, whoever still uses it`
  return await confirmed(context, { name, what })
}

async function isManual(api: Api, name: string): Promise<boolean> {
  const [summary] = await api.summariesOf([name])
  return summary?.issuer === 'manual'
}
