import { KeyturnError } from '../core/errors.ts'
import { fullName, type GoogleName, gcloudOptions } from './google-names.ts'

export interface GoogleCall {
  /** As IAM names it, e.g. `secretmanager.versions.access`. */
  readonly permission: string
  readonly name: GoogleName
}

/** The codes of gRPC that decide something here (google/rpc/code.proto); both transports come down to them. */
export const googleCodes = {
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

const codesByStatus: ReadonlyMap<number, number> = new Map([
  [400, googleCodes.invalidArgument],
  [401, googleCodes.unauthenticated],
  [403, googleCodes.permissionDenied],
  [404, googleCodes.notFound],
  [409, googleCodes.alreadyExists],
  [429, googleCodes.resourceExhausted],
])

/** What a server may ask for at most before its next answer; longer waits are the caller's next round. */
const retryAfterMsMax = 30_000

/** An error, what the SDK had it from, and what fetch said. */
const causesMax = 4

/**
 * The code of whatever the SDK threw: of gRPC, of HTTP (versions before 7 in REST), or undefined where it came from neither.
 * A status that a proxy gave with a page in place of an answer counts for itself: the SDK calls all of those INTERNAL.
 */
export function googleCodeOf(thrown: unknown): number | undefined {
  const code = numberIn(thrown, 'code')
  const status = numberIn(thrown, 'httpStatusCode')
  // Node's own word for what the network did, e.g. while a token was fetched.
  if (/^(?:E[A-Z_]+|UND_ERR\w+)$/.test(String(valueIn(thrown, 'code')))) return googleCodes.unavailable
  if (status !== undefined && status >= 500) return googleCodes.unavailable
  if (code === googleCodes.internal && status !== undefined) return codesByStatus.get(status) ?? code
  if (code === undefined || code < 100) return code
  return codesByStatus.get(code) ?? (code >= 500 ? googleCodes.unavailable : googleCodes.unknown)
}

/**
 * One of ours for a call that failed. Google's message is left out, and so is the error itself as cause: it can hold the
 * request, and with it the key. What is expected (absence, a lost etag) was taken by the caller before.
 */
export function googleError(thrown: unknown, call: GoogleCall): KeyturnError {
  if (thrown instanceof KeyturnError) return thrown
  const code = googleCodeOf(thrown)
  if (isRedirect(thrown)) return redirectedError(call)
  const what = `${call.permission} on ${fullName(call.name)} (${wordOf(code)})`
  const where = gcloudOptions(call.name)
  switch (code) {
    case googleCodes.notFound:
      return new KeyturnError('store_absent', `Google has no such secret or version: ${what}.`, {
        fix: `Check the name and the project: gcloud secrets describe ${call.name.id} ${where}`,
      })
    case googleCodes.permissionDenied:
      return deniedError(call, what)
    case googleCodes.unauthenticated:
      return new KeyturnError('store_denied', `Google did not take the credentials for ${what}.`, {
        fix: 'Give Keyturn valid credentials; see who it is with: gcloud auth application-default print-access-token',
      })
    case googleCodes.resourceExhausted:
      return new KeyturnError('store_throttled', `Google throttled ${what}.`, {
        fix: 'Nothing is to be done: it is tried again. Quotas: 600 metadata reads and 600 writes per minute and project.',
        retryable: true,
        ...retryAfterIn(thrown),
      })
    case googleCodes.failedPrecondition:
      return new KeyturnError('store_disabled', `Google refused ${what}: its state does not allow it.`, {
        fix: `Check that its versions are enabled, and the key that encrypts it: gcloud secrets versions list ${call.name.id} ${where}`,
      })
    case googleCodes.alreadyExists:
    case googleCodes.aborted:
      return new KeyturnError('store_conflict', `Google refused ${what}: somebody else was faster.`, {
        fix: 'Nothing is to be done: it is looked at again.',
        retryable: true,
      })
    case googleCodes.invalidArgument:
      return new KeyturnError('store_malformed', `Google refused the request itself: ${what}.`, {
        fix: 'Check the name, the location and, for a regional secret, the endpoint.',
      })
    default:
      return unanswered(code, what)
  }
}

export function deniedError(call: GoogleCall, what?: string): KeyturnError {
  const on = fullName(call.name)
  return new KeyturnError('store_denied', `Google refused ${what ?? `${call.permission} on ${on}`}.`, {
    fix: permissionFix(call),
  })
}

/** The narrowest of Google's own roles that has it, on this one secret. */
export function permissionFix({ permission, name }: GoogleCall): string {
  const role = roles.get(permission) ?? 'roles/secretmanager.admin'
  if (permission === 'secretmanager.secrets.create')
    return `Allow ${permission} in ${name.parent}, or make the secret: ${createCommand(name)}`
  return `Allow ${permission} on ${fullName(name)} by a role of your own, or: gcloud secrets add-iam-policy-binding ${name.id} ${gcloudOptions(name)} --role=${role} --member=serviceAccount:SERVICE_ACCOUNT`
}

const roles: ReadonlyMap<string, string> = new Map([
  ['secretmanager.versions.access', 'roles/secretmanager.secretAccessor'],
  ['secretmanager.versions.add', 'roles/secretmanager.secretVersionManager'],
  ['secretmanager.versions.list', 'roles/secretmanager.viewer'],
  ['secretmanager.versions.destroy', 'roles/secretmanager.secretVersionManager'],
  ['secretmanager.secrets.get', 'roles/secretmanager.viewer'],
])

export function createCommand(name: GoogleName): string {
  const [, , , location] = name.parent.split('/')
  const policy = location === undefined ? ' --replication-policy=automatic' : ''
  return `gcloud secrets create ${name.id} ${gcloudOptions(name)}${policy}`
}

/** Nobody knows whether it was carried out. */
function unanswered(code: number | undefined, what: string): KeyturnError {
  if (code === undefined)
    return new KeyturnError('store_denied', `No credentials for Google could be had: ${what}.`, {
      fix: 'Set GOOGLE_APPLICATION_CREDENTIALS, attach a service account, or: gcloud auth application-default login',
      retryable: true,
    })
  return new KeyturnError('store_unreachable', `Google gave no answer that tells the outcome of ${what}.`, {
    fix: 'Check the network to secretmanager.googleapis.com or the configured endpoint, and https://status.cloud.google.com',
    retryable: true,
  })
}

/** Which is not followed: see google-client.ts. In the words of both kinds of fetch; Google's own errors have none of them. */
function isRedirect(thrown: unknown): boolean {
  let each = thrown
  for (let depth = 0; depth < causesMax && each instanceof Error; depth += 1, each = each.cause)
    if (/redirect mode is set to error|unexpected redirect/.test(each.message)) return true
  return false
}

function redirectedError(call: GoogleCall): KeyturnError {
  return new KeyturnError(
    'store_unreachable',
    `${call.permission} on ${fullName(call.name)} was answered with a redirect, which is not followed.`,
    {
      fix: 'Configure as endpoint the address that answers itself, or none; and check for a proxy in between that wants a login.',
      retryable: true,
    },
  )
}

function wordOf(code: number | undefined): string {
  if (code === undefined) return 'NO_CREDENTIALS'
  const [word = `CODE_${code}`] = Object.entries(googleCodes).find(([, each]) => each === code) ?? []
  return word.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

/** `google.rpc.RetryInfo`, as the SDK decodes it in REST and as it stands in the trailers of gRPC. */
function retryAfterIn(thrown: unknown): { readonly retryAfterMs?: number } {
  const details = objectIn(thrown, 'statusDetails')
  if (!Array.isArray(details)) return {}
  for (const detail of details as readonly unknown[]) {
    const delay = objectIn(detail, 'retryDelay')
    if (delay === undefined) continue
    const ms =
      Number(valueIn(delay, 'seconds') ?? 0) * 1_000 + Number(valueIn(delay, 'nanos') ?? 0) / 1_000_000
    if (Number.isFinite(ms) && ms >= 0) return { retryAfterMs: Math.min(ms, retryAfterMsMax) }
  }
  return {}
}

function valueIn(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function objectIn(value: unknown, name: string): object | undefined {
  const found = valueIn(value, name)
  return typeof found === 'object' && found !== null ? found : undefined
}

function numberIn(value: unknown, name: string): number | undefined {
  const found = valueIn(value, name)
  if (typeof found === 'number') return found
  return typeof found === 'string' && /^\d{1,3}$/.test(found) ? Number(found) : undefined
}
