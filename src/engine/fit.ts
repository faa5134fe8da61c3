import { KeyturnError } from '../core/errors.ts'
import { inspectSecret, isDocument, type KeyKind, type KeyProblemName } from '../core/key-inspection.ts'
import type { Secret } from '../core/secret.ts'
import type { CredentialSetup } from './setup.ts'

/**
 * What is found in a store, looked at before it goes anywhere: a document, a template or an admin key (for an internal
 * credential: any other kind) is sent to nobody, not even to be verified, and nothing is written over it. `place` names the
 * store or the mirror, for people.
 *
 * Only what can be no bearer token at all is refused (RFC 6750, 2.1), and what says of itself that it is none: shapes of
 * keys are undocumented and change. Error code: `store_malformed`.
 */
export function assertFit(
  secret: Secret,
  place: string,
  { isInternal }: Pick<CredentialSetup, 'isInternal'>,
): void {
  const { kind, core, problems } = inspectSecret(secret)
  const stranger = isInternal === true ? strangers[core] : undefined
  if (stranger !== undefined)
    throw malformed(`${place} holds ${stranger}, where an admin key belongs.`, internalFix)
  if (isInternal !== true && core === 'admin')
    throw malformed(`${place} holds an admin key, which no app may get.`, adminFix)
  if (isDocument(secret)) throw malformed(`${place} holds a JSON document and not a key alone.`, documentFix)
  if (kind === 'placeholder') throw malformed(`${place} holds a placeholder and no key.`, keyFix)
  const [fatal] = problems.filter(({ isFatal }) => isFatal)
  if (fatal === undefined) return
  const at = fatal.position === undefined ? '' : ` at position ${fatal.position + 1}`
  throw malformed(`What ${lowerFirst(place)} holds can be no key: ${words[fatal.name]}${at}.`, keyFix)
}

/** What is no admin key by its own word. A shape that is not known is for the issuer to judge. */
const strangers: Partial<Record<KeyKind, string>> = {
  project: 'a key of a project',
  service_account: 'a key of a service account',
  legacy_user: 'a key of a person',
  other_provider: 'a key of another provider',
}

const internalFix =
  'Put an admin key there instead (platform.openai.com, Settings, Organization, Admin keys), and that key where its apps look for it.'
const adminFix =
  'Put a key of a project or a service account there instead, and turn the admin key if others could read it there.'
const documentFix =
  'Name the field that holds the key: field, in cloud stores with format: json. The other fields stay as they are.'
const keyFix = 'Put the key alone there, without quotes, name or anything else around it.'

const words: Readonly<Record<KeyProblemName, string>> = {
  empty: 'it is empty',
  byte_order_mark: 'there is a byte order mark',
  white_space: 'there is white space',
  line_break: 'there is a line break',
  control_character: 'there is a control character',
  percent_escape: 'there is a percent escape',
  quote: 'there is a quotation mark',
  bearer_prefix: 'it begins with Bearer',
  assignment: 'it begins with a name and =',
  not_ascii: 'there is a character beyond ASCII',
  stray_character: 'there is a character that no key has',
  unusual_length: 'its length is unusual',
}

function malformed(message: string, fix: string): KeyturnError {
  return new KeyturnError('store_malformed', message, { fix })
}

function lowerFirst(text: string): string {
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`
}
