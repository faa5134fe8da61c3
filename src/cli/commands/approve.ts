import type { ApprovalSummary } from '../../api/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import { showBlastRadius } from '../blast-radius.ts'
import { argument, type Context } from '../command.ts'
import { confirmed } from '../confirm.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { type Column, layOut } from '../layout.ts'
import { short, when } from '../text.ts'

/** Without an id: what waits. With one: what it is, then the name typed, then it is done. */
export async function run(context: Context): Promise<ExitCode> {
  const { out, io } = context
  const [name, id] = [argument(context, 0), argument(context, 1)]
  const api = await context.api()
  const items = await api.approvals(name)
  if (id === '') {
    const now = io.now()
    out.result({ items }, () =>
      items.length === 0
        ? [`${name}: nothing waits for a second person`]
        : layOut(
            {
              columns,
              rows: items.map((one) => [
                one.id,
                whatOf(one),
                one.requestedBy,
                when(one.requestedAt, now),
                when(one.expiresAt, now),
                one.reason ?? '',
              ]),
            },
            out.columns,
          ),
    )
    return exitCodes.done
  }
  const asked = items.find((one) => one.id === id)
  if (asked === undefined)
    throw new KeyturnError('not_found', `nothing waits for approval of '${name}' under this id`, {
      fix: `'keyturn approve ${name}' lists what waits; after 15 minutes it has to be asked for anew.`,
    })
  if (asked.version === null) await showBlastRadius(context, api, { name })
  else await showBlastRadius(context, api, { name, version: asked.version })
  const what = `${asked.requestedBy} asked for this of '${name}': ${whatOf(asked)}`
  await confirmed(context, { name, what })
  const outcome = await api.approve(name, id)
  out.result(outcome, () => [
    outcome.rotation === null
      ? `${name}: version ${short(outcome.version?.version ?? '')} is ${outcome.version?.stage ?? 'revoked'}`
      : `${name}: rotation ${short(outcome.rotation.id)} has started (${outcome.rotation.phase})`,
  ])
  return exitCodes.done
}

const columns: readonly Column[] = [
  { title: 'ID' },
  { title: 'WHAT', least: 24 },
  { title: 'ASKED BY', least: 10 },
  { title: 'ASKED', leaves: 1 },
  { title: 'ENDS' },
  { title: 'REASON', least: 12, leaves: 2 },
]

function whatOf({ act, version, isCompromised, isEvenIfLast }: ApprovalSummary): string {
  if (act === 'emergency')
    return isCompromised
      ? 'an emergency rotation, and the old key revoked whoever uses it'
      : 'an emergency rotation'
  return `version ${version ?? ''} revoked${isEvenIfLast ? ', even if it is the last working key' : ''}`
}
