import type { Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'

/** How the journal does: what is on a disk, what is sealed, and which places take rows. */
export async function run(context: Context): Promise<ExitCode> {
  const { out } = context
  const audit = await (await context.api()).auditHeads()
  const { journal, reads, seq, durable, sealed, refused, lost, sinks, headTroubles } = audit
  out.result(audit, () => [
    `journal ${journal}: row ${seq}, durable through ${durable}, sealed through ${sealed}; reads: ${reads}`,
    ...(refused > 0 ? [`  ${refused} replies were refused for want of a row`] : []),
    ...(lost > 0 ? [`  ${lost} reads have no row`] : []),
    ...sinks.map(
      ({ name, isTaking, behind, missed }) =>
        `  ${name}: ${isTaking ? 'takes rows' : 'takes no rows'}, ${behind} behind${missed > 0 ? `, ${missed} missed` : ''}`,
    ),
    ...headTroubles.map((name) => `  heads do not reach ${name}`),
  ])
  const isWell = sinks.every(({ isTaking }) => isTaking) && headTroubles.length === 0
  return isWell ? exitCodes.done : exitCodes.needsHuman
}
