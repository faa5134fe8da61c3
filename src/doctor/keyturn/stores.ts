import type { ErrorCode, KeyturnError } from '../../core/errors.ts'
import type { PermissionFinding } from '../../core/ports.ts'
import type { FindingCode } from '../catalogue.ts'
import type { Check } from '../check.ts'
import type { DoctorOptions } from '../context.ts'
import type { KeyturnCredential, KeyturnFacts } from '../facts.ts'
import type { Finding, Place } from '../finding.ts'

/** T34: a credential whose store gives no key, and what Keyturn may not do there. */
export const stores: Check = {
  name: 'stores',
  needsNetwork: false,
  run: async ({ keyturn }, { options }) =>
    keyturn === undefined ? [] : [...keyturn.credentials.flatMap(findingsOf), ...unasked(keyturn, options)],
}

/** Opening a store shows it a token, or runs a module: a configuration that was merely found may be a stranger's. */
function unasked(
  { isNamed, source, credentials }: KeyturnFacts,
  { isOffline, isThorough }: Pick<DoctorOptions, 'isOffline' | 'isThorough'>,
): readonly Finding[] {
  // What only the service knows has no address here, and its store is the service's business.
  const left = credentials.filter(
    ({ stored, store, baseUrl }) => stored.kind === 'unread' && store !== 'memory' && baseUrl !== '',
  )
  if (isNamed || isOffline || left.length === 0) return []
  const kinds = [...new Set(left.map(({ store }) => store))]
  return [
    {
      code: 'stores_unasked',
      // Before a deploy it is what was asked for.
      severity: isThorough ? 'warning' : 'note',
      seen: `${source} names ${kinds.join(', ')} as a store of ${left.map(({ name }) => name).join(', ')}.`,
      cause:
        'The file was found in the folder, and a stranger could name an address that collects tokens, or code to run.',
      fix: `Where the file is yours: keyturn doctor --config ${source}`,
      place: { kind: 'file', path: source },
    },
  ]
}

function findingsOf(credential: KeyturnCredential): readonly Finding[] {
  const { stored, permissions } = credential
  if (stored.kind === 'failed') return [failed(credential, stored.error)]
  if (stored.kind === 'absent' && !credential.canMint) return [absent(credential)]
  const missing = permissions.filter(({ state }) => state === 'missing')
  return missing.length === 0 ? [] : [denied(credential, missing)]
}

const codes: Partial<Record<ErrorCode, FindingCode>> = {
  store_denied: 'store_denied',
  permissions_lax: 'store_denied',
  store_absent: 'store_absent',
  store_disabled: 'store_disabled',
  store_throttled: 'store_unreachable',
  store_unreachable: 'store_unreachable',
  timeout: 'store_unreachable',
  config_invalid: 'config_invalid',
  config_missing: 'config_invalid',
  package_missing: 'config_invalid',
}

const causes: Partial<Record<FindingCode, string>> = {
  store_denied: 'Whoever runs this may not read the secret.',
  store_absent: 'The name is another one, or the store is another one: a wrong region, vault or namespace.',
  store_disabled: 'Somebody disabled or deleted this secret or its current version.',
  store_unreachable: 'Its address is wrong, the network between is cut, or the store is down.',
  config_invalid: 'The store cannot be opened with what the configuration says and this machine has.',
}

function failed(credential: KeyturnCredential, { code, message, fix }: KeyturnError): Finding {
  const kind = codes[code] ?? 'store_malformed'
  return {
    code: kind,
    severity: 'error',
    seen: `${message.replace(/\.$/, '')} (${code})`,
    cause: causes[kind] ?? 'What stands there is not what Keyturn or an operator would have put there.',
    fix: fix ?? `Look at the store of ${credential.name} in the configuration.`,
    place: placeOf(credential),
  }
}

function absent(credential: KeyturnCredential): Finding {
  const { name, store, ref } = credential
  if (store === 'env' && ref !== undefined) return unset(credential, ref)
  return {
    code: 'store_absent',
    severity: 'error',
    seen: `the ${store} store has no key for ${name}`,
    cause: 'Nobody has put a key there, or the name or the store in the configuration is another one.',
    fix:
      store === 'env' || store === 'file'
        ? `Put the key into ${ref ?? 'the place of the configuration'}, or correct the ref of ${name}.`
        : `keyturn bring ${name} < key.txt`,
    place: placeOf(credential),
  }
}

function unset(credential: KeyturnCredential, variable: string): Finding {
  return {
    code: 'store_absent',
    severity: 'error',
    seen: `${variable}, which the configuration names for ${credential.name}, is not set`,
    cause:
      'The environment of this program does not have the variable, or the configuration means another one.',
    fix: `Correct the ref of ${credential.name}, or paste the key alone, then Enter:\nread -rs ${variable} && export ${variable}`,
    place: placeOf(credential),
  }
}

function denied(credential: KeyturnCredential, missing: readonly PermissionFinding[]): Finding {
  const names = missing.map(({ permission, resource }) => `${permission} on ${resource}`)
  const fixes = missing.map(({ fix }) => fix).filter((fix) => fix !== undefined)
  return {
    code: 'store_denied',
    severity: 'error',
    seen: `${credential.store} does not allow ${names.join(', ')}`,
    cause: 'The key can be read there, and could not be turned.',
    fix: fixes.length === 0 ? `Grant ${names.join(', ')}.` : [...new Set(fixes)].join('\n'),
    place: placeOf(credential),
  }
}

function placeOf({ name, store }: KeyturnCredential): Place {
  return { kind: 'credential', name, store }
}
