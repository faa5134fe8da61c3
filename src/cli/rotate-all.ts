import type { CredentialSummary, RotationRequest } from '../api/types.ts'
import { parseDuration } from '../config/duration.ts'
import { KeyturnError } from '../core/errors.ts'
import { parseInstant } from '../core/instant.ts'
import { type Api, thereAre } from './api.ts'
import { type Context, usage } from './command.ts'
import type { ExitCode } from './exit.ts'
import { type Skipped, turnInWaves } from './waves.ts'

const sizeDefault = 5
const sizeMax = 100

/** `keyturn rotate --all`: which credentials, and how many at a time. */
export async function rotateAll(context: Context, request: RotationRequest): Promise<ExitCode> {
  const { io, options } = context
  const size = sizeOf(options.text('wave'))
  const pauseMs = pauseOf(options.text('pause'))
  const since = sinceOf(options.text('since'), io.now())
  const matches = matcherOf(options.text('match') ?? '*')
  const api: Api = await context.api()
  const known = await api.summaries()
  const chosen = known.filter(({ name }) => matches(name))
  // Most likely a slip of the pen: a script that goes on would take keys for turned that are not.
  if (chosen.length === 0)
    throw new KeyturnError('not_found', 'no credential matches: nothing is turned', {
      fix: thereAre(known.map(({ name }) => name)),
    })
  const skipped: Skipped[] = []
  const names: string[] = []
  for (const summary of chosen.toSorted((one, other) => one.name.localeCompare(other.name))) {
    const why = whyNot(summary, request, since)
    if (why === undefined) names.push(summary.name)
    else skipped.push({ name: summary.name, why })
  }
  return await turnInWaves(context, api, {
    names,
    skipped,
    size,
    pauseMs,
    isWaiting: options.has('wait'),
    request,
    since: new Date(since ?? io.now()).toISOString(),
  })
}

function whyNot(
  { current, isInternal, issuer, rotation }: CredentialSummary,
  { mode }: RotationRequest,
  since: number | undefined,
): string | undefined {
  if (isInternal) return "one of Keyturn's own, turned by its name only"
  if (issuer === 'manual' && mode !== 'rehearsal') return 'its key comes from a person: keyturn bring'
  if (since === undefined) return undefined
  const rehearsedAt = rotation?.outcome === 'rehearsed' ? rotation.endedAt : null
  const doneAt = mode === 'rehearsal' ? rehearsedAt : (current?.promotedAt ?? null)
  return doneAt !== null && Date.parse(doneAt) >= since ? 'done already' : undefined
}

/** `team-*`: a star stands for any characters. */
function matcherOf(pattern: string): (name: string) => boolean {
  if (!/^[a-z0-9*-]{1,63}$/.test(pattern))
    throw usage(
      `'${pattern}' matches no name`,
      "Write a name in which * stands for any characters: --match 'team-*'.",
    )
  const expression = new RegExp(`^${pattern.replaceAll(/\*+/g, '.*')}$`)
  return (name) => expression.test(name)
}

function sizeOf(text: string | undefined): number {
  if (text === undefined) return sizeDefault
  const size = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (size < 1 || size > sizeMax)
    throw usage(`--wave takes 1 to ${sizeMax}`, 'Give how many are turned at a time, e.g. --wave 5.')
  return size
}

function pauseOf(text: string | undefined): number {
  if (text === undefined) return 0
  const ms = parseDuration(text)
  if (ms === undefined || ms > 86_400_000)
    throw usage(
      '--pause takes a duration of at most a day',
      'Give a whole number and a unit, e.g. --pause 10m.',
    )
  return ms
}

function sinceOf(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const at = parseInstant(text)
  if (at === undefined)
    throw usage(
      '--since takes an instant',
      'Give the one that the run before named, e.g. 2026-11-21T12:00:00Z.',
    )
  if (at > now)
    throw usage(
      'the instant of --since is yet to come',
      'Give the one that the run before named; without --since all are turned.',
    )
  return at
}
