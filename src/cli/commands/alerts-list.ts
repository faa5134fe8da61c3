import type { AlertChannelSummary, AlertSummary } from '../../api/types.ts'
import type { Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { type Column, layOut } from '../layout.ts'

/** What fires, with what to do, and how the channels do. */
export async function run(context: Context): Promise<ExitCode> {
  const { out } = context
  const answer = await (await context.api()).alerts()
  const { items, channels } = answer
  out.result(answer, () => [
    ...(items.length === 0 ? ['Nothing fires.'] : items.flatMap(linesOf)),
    '',
    ...(channels.length === 0
      ? ['No channel is configured: nobody is told. See docs/alerts.md.']
      : layOut({ columns, rows: channels.map(cellsOf) }, out.columns)),
  ])
  const isCritical = items.some(({ severity, isOver }) => severity === 'critical' && !isOver)
  return isCritical || channels.some(({ isRefusing }) => isRefusing) ? exitCodes.needsHuman : exitCodes.done
}

const namesShownMax = 5

function linesOf(alert: AlertSummary): readonly string[] {
  const { severity, code, credentials, credentialsCount, apps, since, isOver, summary, fix, told } = alert
  const shown = credentials.slice(0, namesShownMax)
  const more =
    credentialsCount > shown.length && shown.length > 0 ? ` and ${credentialsCount - shown.length} more` : ''
  const of = shown.length === 0 ? '' : `  ${shown.join(', ')}${more}`
  return [
    `${severity.toUpperCase()}  ${code}${of}  ${isOver ? 'over, since' : 'since'} ${since}`,
    `  ${summary}`,
    ...(isOver || fix === '' ? [] : [`  fix: ${fix}`]),
    ...(apps.length === 0 ? [] : [`  apps: ${apps.join(', ')}`]),
    ...told.map(({ channel, toldAt, waiting, tries, failure }) => {
      const is = toldAt === null ? 'not told yet' : `told ${toldAt}`
      const why = failure === null ? '' : ` (${tries} tries: ${failure})`
      return `  ${channel}: ${is}${waiting === null ? '' : `; waits: ${waiting}${why}`}`
    }),
  ]
}

const columns: readonly Column[] = [
  { title: 'CHANNEL' },
  { title: 'KIND' },
  { title: 'GETS', leaves: 1 },
  { title: 'LAST DELIVERED' },
  { title: 'STATE' },
]

function cellsOf(channel: AlertChannelSummary): readonly string[] {
  const { name, kind, severities, deliveredAt, failure, failingSince } = channel
  const state = failure === null ? 'ok' : `${failure}, since ${failingSince ?? '-'}`
  return [name, kind, severities.join(', '), deliveredAt ?? 'never', state]
}
