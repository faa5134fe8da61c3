import { KeyturnError, type KeyturnErrorOptions } from '../core/errors.ts'

export interface AwsCall {
  /** The action as IAM names it, e.g. `secretsmanager:PutSecretValue`. */
  readonly permission: string
  readonly ref: string
  readonly region: string
}

/**
 * One of ours for whatever the SDK threw, decided by its name and never by the HTTP status: emulators answer 404 where
 * AWS answers 400. AWS's message is left out, and so is the error itself as cause: a validation message quotes the
 * parameters, of which one is the secret.
 */
export function awsError(thrown: unknown, call: AwsCall): KeyturnError {
  if (thrown instanceof KeyturnError) return thrown
  const name = nameOf(thrown)
  const make = rules.get(name) ?? (isNetwork(thrown) ? unreachable : malformed)
  return make(`${where(call)} (${name}${requestIdOf(thrown)})`, call)
}

type Rule = (what: string, call: AwsCall) => KeyturnError

function where({ permission, ref, region }: AwsCall): string {
  return `${permission} on ${ref} in ${region}`
}

const absent: Rule = (what, { ref, region }) =>
  new KeyturnError('store_absent', `AWS has no such secret or version: ${what}.`, {
    fix: `Check the name and the region (aws secretsmanager describe-secret --secret-id '${ref}' --region ${region}).`,
  })

const denied: Rule = (what, { permission, ref, region }) =>
  new KeyturnError('store_denied', `AWS refused ${what}.`, {
    fix: `Allow ${permission} on ${ref} in ${region} to the identity that Keyturn runs as.`,
  })

const badCredentials: Rule = (what) =>
  new KeyturnError('store_denied', `AWS did not take the credentials for ${what}.`, {
    fix: 'Give Keyturn valid AWS credentials. See who it is with (aws sts get-caller-identity).',
  })

/** Thrown by the SDK before it asks AWS anything, for want of credentials or of a way to get those that are named. */
const noCredentials: Rule = (what) =>
  new KeyturnError('store_denied', `There are no AWS credentials for ${what}.`, {
    fix: 'Give Keyturn some: they are looked for in AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, in the profile (AWS_PROFILE, ~/.aws), in a web identity (AWS_WEB_IDENTITY_TOKEN_FILE), and with the role of the container or machine. The login of a profile may have expired (aws sso login).',
  })

const keyDenied =
  (permission: string): Rule =>
  (what, { ref, region }) =>
    new KeyturnError('store_denied', `AWS could not use the KMS key of the secret: ${what}.`, {
      fix: `Allow ${permission} on the KMS key of ${ref} in ${region}, and check that the key is enabled.`,
    })

const disabled: Rule = (what, call) => markedDeleted(call, what)

const conflict: Rule = (what) =>
  new KeyturnError(
    'store_conflict',
    `AWS refused ${what}: it is not in the state that this change expects.`,
    {
      fix: 'Somebody else changed the secret. Look at it again (keyturn versions).',
    },
  )

const throttled: Rule = (what) =>
  retryable('store_throttled', `AWS throttled ${what}.`, 'Nothing is to be done: it is tried again.')

const quota: Rule = (what) =>
  retryable(
    'store_throttled',
    `A quota of AWS Secrets Manager is used up: ${what}.`,
    'See the quotas of versions, labels and tags per secret in the AWS console; versions without labels go after 24 hours.',
  )

const unreachable: Rule = (what, { region }) =>
  retryable(
    'store_unreachable',
    `AWS gave no answer that tells the outcome of ${what}.`,
    `Check the network to AWS Secrets Manager in ${region} (endpoint, VPC endpoint, proxy) and the AWS status page.`,
  )

const malformed: Rule = (what) =>
  retryable(
    'store_malformed',
    `The answer to ${what} was none that AWS gives.`,
    'Check the endpoint and whether a proxy answers in place of AWS.',
  )

function retryable(
  code: 'store_throttled' | 'store_unreachable' | 'store_malformed',
  message: string,
  fix: string,
): KeyturnError {
  const options: KeyturnErrorOptions = { fix, retryable: true }
  return new KeyturnError(code, message, options)
}

export function markedDeleted({ ref, region }: Pick<AwsCall, 'ref' | 'region'>, what?: string): KeyturnError {
  const on = what === undefined ? '' : `: ${what}`
  return new KeyturnError('store_disabled', `The secret ${ref} in ${region} is marked for deletion${on}.`, {
    fix: `aws secretsmanager restore-secret --secret-id '${ref}' --region ${region}`,
  })
}

/** Names seen in the SDK's models (3.1162) and in AWS's list of common errors, 2026-11-20. */
const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['ResourceNotFoundException', absent],
  ['AccessDeniedException', denied],
  ['AccessDenied', denied],
  ['UnauthorizedOperation', denied],
  ['CredentialsProviderError', noCredentials],
  ['UnrecognizedClientException', badCredentials],
  ['InvalidClientTokenId', badCredentials],
  ['InvalidSignatureException', badCredentials],
  ['IncompleteSignature', badCredentials],
  ['IncompleteSignatureException', badCredentials],
  ['MissingAuthenticationTokenException', badCredentials],
  ['MissingAuthenticationToken', badCredentials],
  ['ExpiredTokenException', badCredentials],
  ['ExpiredToken', badCredentials],
  ['SignatureDoesNotMatch', badCredentials],
  ['OptInRequired', badCredentials],
  ['DecryptionFailure', keyDenied('kms:Decrypt')],
  ['EncryptionFailure', keyDenied('kms:GenerateDataKey and kms:Decrypt')],
  ['InvalidRequestException', disabled],
  ['InvalidParameterException', conflict],
  ['ResourceExistsException', conflict],
  ['PreconditionNotMetException', conflict],
  ['ThrottlingException', throttled],
  ['Throttling', throttled],
  ['TooManyRequestsException', throttled],
  ['RequestLimitExceeded', throttled],
  ['RequestThrottled', throttled],
  ['RequestThrottledException', throttled],
  ['LimitExceededException', quota],
  ['InternalServiceError', unreachable],
  ['InternalServiceErrorException', unreachable],
  ['InternalFailure', unreachable],
  ['InternalServerError', unreachable],
  ['ServiceUnavailable', unreachable],
  ['ServiceUnavailableException', unreachable],
  ['TimeoutError', unreachable],
  ['AbortError', unreachable],
])

/** Only what looks like a name: a proxy can make the SDK take anything for one. */
function nameOf(thrown: unknown): string {
  const name = thrown instanceof Error ? thrown.name : ''
  return /^[A-Za-z]{1,60}$/.test(name) ? name : 'UnknownError'
}

/** Node's own error codes: ECONNREFUSED, ENOTFOUND, EAI_AGAIN, CERT_HAS_EXPIRED, ERR_TLS_… */
function isNetwork(thrown: unknown): boolean {
  return (
    thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' && !('$fault' in thrown)
  )
}

function requestIdOf(thrown: unknown): string {
  if (!(thrown instanceof Error) || !('$metadata' in thrown)) return ''
  const metadata = thrown.$metadata
  if (typeof metadata !== 'object' || metadata === null || !('requestId' in metadata)) return ''
  const id = metadata.requestId
  return typeof id === 'string' && /^[A-Za-z0-9-]{1,64}$/.test(id) ? `, request ${id}` : ''
}
