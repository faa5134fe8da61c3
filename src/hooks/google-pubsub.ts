import { KeyturnError } from '../core/errors.ts'
import { type DueSecret, instantOf, recordOf, type SecretPlace } from './due.ts'

/** `projects/P/secrets/S`, or `projects/P/locations/L/secrets/S`. */
const secretPattern =
  /^projects\/([a-z0-9][a-z0-9.:-]{0,62})\/(?:locations\/([a-z0-9-]{1,63})\/)?secrets\/([A-Za-z0-9_-]{1,255})$/

/**
 * One message as Pub/Sub pushes it (https://cloud.google.com/pubsub/docs/push, wrapped; of Secret Manager:
 * https://cloud.google.com/secret-manager/docs/event-notifications, 2026-11-26). Undefined: of another event, as
 * topics carry all of them. `bad_request` for what Pub/Sub does not send; echoes nothing of it.
 */
export function readPubSub(body: unknown): DueSecret | undefined {
  const message = recordOf(recordOf(body)['message'])
  const at = instantOf(message['publishTime'] ?? message['publish_time'])
  const id = message['messageId'] ?? message['message_id']
  if (at === undefined || typeof id !== 'string') throw notPubSub()
  const { eventType, secretId, dataFormat } = recordOf(message['attributes'])
  if (eventType !== 'SECRET_ROTATE' || dataFormat !== 'JSON_API_V1') return undefined
  const found = typeof secretId === 'string' ? secretPattern.exec(secretId) : null
  if (found === null) throw notPubSub()
  const [, project, location, name = ''] = found
  return {
    place: comparable(project),
    secret: secretIn(location, name),
    at,
    why: 'Google Secret Manager: SECRET_ROTATE',
  }
}

/** `ref` as the store takes it: a name, or all of it. */
export function googlePlace(
  credential: string,
  ref: string,
  { project, location }: { readonly project?: string; readonly location?: string },
): SecretPlace {
  const [, where, there, name] = secretPattern.exec(ref) ?? []
  if (name === undefined) return { credential, place: comparable(project), secret: secretIn(location, ref) }
  return { credential, place: comparable(where), secret: secretIn(there, name) }
}

/** A secret of one region is another one than the global one of its name. */
function secretIn(location: string | undefined, name: string): string {
  return location === undefined ? name : `${location}/${name}`
}

/** Google tells the number of a project where people write its id: the one says nothing of the other. */
function comparable(project: string | undefined): string | undefined {
  return project === undefined || /^\d+$/.test(project) ? undefined : project
}

function notPubSub(): KeyturnError {
  return new KeyturnError('bad_request', 'The body is no message of Pub/Sub about a secret.', {
    fix: 'Let a push subscription send it, wrapped (the default), from the topic of the secret.',
  })
}
