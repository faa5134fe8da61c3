import type { FastifyReply } from 'fastify'
import type { HookOperationId } from '../api/hook-operations.ts'
import type { CredentialSummary } from '../api/types.ts'
import { KeyturnError } from '../core/errors.ts'
import { allowedOrigin, readEventGrid } from '../hooks/azure-event-grid.ts'
import {
  credentialsOf,
  type DueSecret,
  instantOf,
  isAnswered,
  type LatestTurn,
  type SecretPlace,
} from '../hooks/due.ts'
import { readPubSub } from '../hooks/google-pubsub.ts'
import type { ServerContext } from './context.ts'
import type { Call, Handler } from './routes.ts'

/** Which clouds may say when, and where the keys of credentials are there. Absent: that cloud may not. */
export interface Hooks {
  readonly googlePubSub?: readonly SecretPlace[]
  readonly azureEventGrid?: readonly SecretPlace[]
}

/** The routes that are there. A cloud that is not configured finds what it finds anywhere: no such route. */
export function hookHandlers(context: ServerContext): Readonly<Partial<Record<HookOperationId, Handler>>> {
  const { googlePubSub, azureEventGrid } = context.hooks
  return {
    ...(googlePubSub === undefined ? {} : { receivePubSub: pubSubRoute(context, googlePubSub) }),
    ...(azureEventGrid === undefined
      ? {}
      : { receiveEventGrid: eventGridRoute(context, azureEventGrid), greetEventGrid: greet }),
  }
}

function pubSubRoute(context: ServerContext, places: readonly SecretPlace[]): Handler {
  return async (call) => {
    const due = readPubSub(call.request.body)
    if (due !== undefined) await startAll([due], places, context, call)
    return call.reply.code(204).send()
  }
}

function eventGridRoute(context: ServerContext, places: readonly SecretPlace[]): Handler {
  return async (call) => {
    const told = readEventGrid(call.request.body)
    if (told.kind === 'validation') return call.reply.send({ validationResponse: told.code })
    await startAll(told.due, places, context, call)
    return call.reply.code(204).send()
  }
}

/** Gives nothing and allows nothing: who then sends has to show who they are. */
const greet: Handler = ({ request, reply }): FastifyReply => {
  const origin = allowedOrigin(request.headers['webhook-request-origin'])
  if (origin === undefined)
    throw new KeyturnError('bad_request', 'Only Event Grid is told that it may send here.', {
      fix: 'Nothing is to be done: a subscription asks by itself.',
    })
  return reply
    .header('webhook-allowed-origin', origin)
    .header('webhook-allowed-rate', '120')
    .header('allow', 'POST, OPTIONS')
    .send()
}

/**
 * An answer that is no success is sent again for days; so it is given only where that can help. A secret that is not
 * configured, or that this caller may not turn, gets the same answer as any other.
 */
async function startAll(
  all: readonly DueSecret[],
  places: readonly SecretPlace[],
  context: ServerContext,
  call: Call,
): Promise<void> {
  const started: string[] = []
  for (const due of all)
    for (const name of credentialsOf(due, places))
      if (call.caller.may('hook', name) && (await startOne(name, due, context, call))) started.push(name)
  call.request.about = started.length === 0 ? 'nothing to do' : `started: ${started.join(', ')}`
}

/** To be told of it again would help nobody: somebody has to see to it. Whatever else there is passes, or is mended. */
const lasting: ReadonlySet<string> = new Set([
  'federated_credential',
  'issuer_cannot_mint',
  'rotation_halted',
  'store_read_only',
])

async function startOne(
  name: string,
  due: DueSecret,
  { service, system, log }: ServerContext,
  { actor }: Call,
): Promise<boolean> {
  if (isAnswered(due, latestTurnOf(await service.summary(name)), system.now())) return false
  try {
    await service.rotate(name, { mode: 'normal', reason: due.why }, actor)
    return true
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError && lasting.has(thrown.code))) throw thrown
    log('warn', 'a store says that its secret is to be rotated, and it cannot be', {
      credential: name,
      error: thrown,
    })
    return false
  }
}

/** What makes a spare or tries things out turns no key; where it came last, the key itself says when it was turned. */
function latestTurnOf({ rotation, current }: CredentialSummary): LatestTurn {
  const turning = rotation?.mode === 'normal' || rotation?.mode === 'emergency' ? rotation : undefined
  // A found key may expire, but is not turned for it.
  const isOurs = current?.origin === 'minted' || current?.origin === 'brought'
  const isTurned = isOurs && current.expiresAt !== null
  return {
    isRunning: turning !== undefined && turning.endedAt === null,
    startedAt: instantOf(turning?.startedAt),
    promotedAt: isOurs ? instantOf(current.promotedAt) : undefined,
    mintedAt: isTurned ? instantOf(current.createdAt ?? current.addedAt) : undefined,
  }
}
