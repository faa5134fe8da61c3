import type { BlastHolder, BlastRadius } from '../api/types.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Api } from './api.ts'
import type { Context } from './command.ts'
import { type Column, facts, layOut } from './layout.ts'
import type { Output } from './output.ts'
import { short, when } from './text.ts'

/** More instances than fit on a screen are counted. */
const holdersShownMax = 20

/** Shows who loses what, on standard error, before a person confirms it. Undefined where it could not be told, which must hold up nobody who confirms. */
export async function showBlastRadius(
  context: Context,
  api: Api,
  asked: { readonly name: string; readonly version?: string; readonly isOnlyInUse?: boolean },
): Promise<BlastRadius | undefined> {
  try {
    const radius = await api.blastRadius(asked.name, asked.version)
    if (asked.isOnlyInUse === true && !isInUse(radius)) return radius
    for (const line of renderBlastRadius(radius, { now: context.io.now(), out: context.out }))
      context.out.note(line)
    return radius
  } catch (thrown) {
    const isOwn = thrown instanceof KeyturnError
    // Wrong names and tokens are wrong for what follows, too.
    if (isOwn && ['not_found', 'forbidden', 'unauthenticated', 'service_unreachable'].includes(thrown.code))
      throw thrown
    context.out.warn(`who holds the key cannot be told now${isOwn ? `: ${thrown.message}` : ''}`)
    return undefined
  }
}

/** Somebody or something may lose a key that it uses. */
export function isInUse({ isCurrent, holders, mirrors, sharedWith }: BlastRadius): boolean {
  return isCurrent || sharedWith.length > 0 || mirrors.length > 0 || holders.some((one) => !one.isSilent)
}

export function renderBlastRadius(
  radius: BlastRadius,
  { now, out }: { readonly now: number; readonly out: Pick<Output, 'paint' | 'noteColumns'> },
): string[] {
  const { paint, noteColumns } = out
  const rows: (readonly [string, string])[] = [
    [
      'key',
      `${radius.fingerprint} (version ${short(radius.version)}, ${radius.stage}, ${radius.keyId ?? 'id unknown'})`,
    ],
    ['made', when(radius.createdAt, now)],
    ['last used', lastUseOf(radius, now)],
    ['apps', appsOf(radius.holders)],
    ...radius.mirrors.map(({ id }) => ['mirror', `${id}: its readers hold no lease`] as const),
    ...radius.sharedWith.map(
      (name) =>
        [
          'also',
          paint('red', `${name} holds this very key, and loses it too: keyturn rotate ${name} --emergency`),
        ] as const,
    ),
    ['instead', insteadOf(radius)],
  ]
  const holders = radius.holders.slice(0, holdersShownMax).map((one) => rowOf(one, now, paint))
  const more = radius.holders.length - holders.length
  return [
    paint('bold', `${radius.credential}: who loses what`),
    ...facts(rows, noteColumns),
    ...(holders.length === 0 ? [] : layOut({ columns: holderColumns, rows: holders }, noteColumns)),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ]
}

const holderColumns: readonly Column[] = [
  { title: '  APP', least: 12 },
  { title: 'INSTANCE', least: 12 },
  { title: 'GENERATION', leaves: 1 },
  { title: 'SEEN' },
  { title: 'GETS THE NEW KEY', leaves: 2 },
]

function lastUseOf({ lastUse, lastUsedAt }: BlastRadius, now: number): string {
  if (lastUse === 'told')
    return `${when(lastUsedAt, now)}, as far as OpenAI has noticed; Keyturn’s own checks count`
  return lastUse === 'never' ? 'never, as OpenAI says' : 'OpenAI does not tell'
}

function appsOf(holders: readonly BlastHolder[]): string {
  if (holders.length === 0) return 'none is known to hold it; apps without a lease are not seen'
  const silent = holders.filter(({ isSilent }) => isSilent).length
  const listening = holders.filter(({ isListening }) => isListening).length
  return `${holders.length} instances: ${listening} are told at once, ${holders.length - listening - silent} when they ask next, ${silent} are silent`
}

function insteadOf({ spare, isCurrent }: BlastRadius): string {
  if (spare === null)
    return isCurrent ? 'no other live key: a new one has to be minted first' : 'nothing is handed out'
  const what = `${spare.fingerprint} (version ${short(spare.version)}, ${spare.stage})`
  return isCurrent ? `${what} is alive and takes over` : `${what} is handed out`
}

function rowOf(holder: BlastHolder, now: number, paint: Output['paint']): string[] {
  const { app, instance, generation, seenAt, isSilent, isListening } = holder
  const how = isListening
    ? 'at once'
    : isSilent
      ? paint('yellow', 'silent: nobody knows')
      : 'when it asks next'
  return [`  ${app}`, instance, String(generation), when(seenAt, now), how]
}
