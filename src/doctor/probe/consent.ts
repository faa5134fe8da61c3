import { redactKeys } from '../../core/key-shape.ts'
import type { DoctorContext } from '../context.ts'
import type { Facts, KeyPlace, Setting } from '../facts.ts'
import { describePlace, type Finding } from '../finding.ts'
import type { Target } from './base-url.ts'

/**
 * What an address may be told. The doctor is run in folders of strangers: a base URL that only their files name gets what
 * stands in these files as well, and nothing out of this user's environment or stores, unless the user names its host.
 */
export type Consent =
  | { readonly kind: 'all' }
  /** Nothing with the key; that there is somebody may be seen. */
  | { readonly kind: 'withoutKey'; readonly finding: Finding }
  /** The address itself has a value of the environment in it: to resolve its name would tell it. */
  | { readonly kind: 'nothing'; readonly finding: Finding }

/** `setting`: the base URL in force, undefined where it is OpenAI's own by default. */
export function consentTo(
  { files, options }: Pick<DoctorContext, 'files' | 'options'>,
  facts: Facts,
  { target, setting }: { readonly target: Target; readonly setting: Setting | undefined },
): Consent {
  const { host, hostname } = target.url
  if (target.kind !== 'gateway' || setting === undefined || isUsers(setting, facts)) return { kind: 'all' }
  const isAllowed = options.allowedHosts.some((one) => [host, hostname].includes(one.toLowerCase()))
  if (isAllowed) return { kind: 'all' }
  const finding = withheld(target, setting, facts.key)
  const isOfFiles = ({ value, place }: Setting): boolean =>
    place.kind === 'file' && files.read(place.path)?.includes(value) === true
  if (setting.place.kind === 'file' && !isOfFiles(setting)) return { kind: 'nothing', finding }
  const sent = [...keyOf(facts), facts.organization, facts.project].filter((one) => one !== undefined)
  return sent.every(isOfFiles) ? { kind: 'all' } : { kind: 'withoutKey', finding }
}

/** From the environment, or from a configuration that the user named. */
function isUsers({ place }: Setting, { keyturn }: Facts): boolean {
  return place.kind === 'variable' || (place.kind === 'credential' && keyturn?.isNamed === true)
}

function keyOf({ key }: Facts): readonly Setting[] {
  return key === undefined ? [] : [{ value: key.text.reveal(), place: key.place }]
}

function withheld(target: Target, { place }: Setting, key: KeyPlace | undefined): Finding {
  const host = redactKeys(target.url.host).slice(0, 120)
  const what = key === undefined ? 'what is to be sent' : `the key of ${describePlace(key.place)}`
  return {
    code: 'address_unconfirmed',
    severity: 'warning',
    seen: `${describePlace(place)} names ${host}; ${what} is not from the project's files, and was not sent there.`,
    cause:
      'Only the project itself names this address, and a project of a stranger could name one that collects keys.',
    fix: `Where you know the address: keyturn doctor --allow-host ${/^[\w.:[\]-]+$/.test(host) ? host : 'HOST'}`,
    place,
  }
}
