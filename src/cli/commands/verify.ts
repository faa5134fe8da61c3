import { KeyturnError } from '../../core/errors.ts'
import { argument, type Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { verdictText } from '../summary.ts'
import { short, when } from '../text.ts'

/** With these the key works for apps now or in a moment; nothing is to be done. */
const fine: readonly string[] = ['valid', 'throttled']

export async function run(context: Context): Promise<ExitCode> {
  const { out, io } = context
  const api = await context.api()
  const summary = await api.verify(argument(context, 0))
  const { current } = summary
  const check = current?.check ?? null
  if (current === null || check === null) {
    const trouble = summary.troubles[0]
    throw new KeyturnError(
      'no_verified_key',
      `${summary.name}: ${trouble?.summary ?? 'there is no key to verify'}`,
      {
        fix:
          trouble?.fix ??
          `Bring one with 'keyturn bring ${summary.name}', or mint one with 'keyturn rotate ${summary.name}'.`,
      },
    )
  }
  out.result(summary, () => [
    `${summary.name}: ${verdictText(check, out.paint)}, ${check.summary}`,
    `  key ${current.fingerprint} (version ${short(current.version)}), checked ${when(check.checkedAt, io.now())}`,
    ...(check.fix === '' ? [] : [`  fix: ${check.fix}`]),
  ])
  if (fine.includes(check.verdict)) return exitCodes.done
  return check.verdict === 'unknown' ? exitCodes.failed : exitCodes.needsHuman
}
