import type { FindingCode } from './catalogue.ts'
import { describePlace, type Finding } from './finding.ts'

/** What says why there is no key says more than that there is none. */
const whyNoKey: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'variable_misnamed',
  'key_placeholder',
  'dotenv_not_loaded',
  'dotenv_elsewhere',
  'dotenv_malformed',
  'dotenv_overridden',
  'image_holds_key',
  'config_map_holds_key',
  'secret_reference_missing',
  'launch_without_variable',
  'store_denied',
  'store_absent',
  'store_disabled',
  'store_unreachable',
  'store_malformed',
  'config_invalid',
  'stores_unasked',
])

/** What says what is wrong with the text says more than that OpenAI does not know it. */
const whyUnknown: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'key_placeholder',
  'key_stray_characters',
  'key_cut_off',
  'key_of_other_provider',
  'key_of_other_kind',
  'dotenv_malformed',
])

/** One cause is told once: what follows from another finding is left out. */
export function withoutExplained(findings: readonly Finding[]): readonly Finding[] {
  const unset = findings.filter(isUnset)
  const others = findings.filter((finding) => !unset.includes(finding))
  const isWhy = ({ code }: Finding) => whyNoKey.has(code) || code === 'platform_variable_missing'
  const told = others.some(isWhy) ? others : findings
  // The line that hands it over is the cause; that the variable holds a key is what it comes to.
  const isHandedOver = told.some(({ code }) => code === 'client_in_browser')
  const texts = new Set(told.filter(({ code }) => whyUnknown.has(code)).map(at))
  return told
    .filter((finding) => finding.code !== 'key_unknown' || !texts.has(at(finding)))
    .filter(({ code }) => code !== 'key_in_browser' || !isHandedOver)
}

/** That the variable is not set where this runs; the same of a manifest has a file for its place. */
function isUnset({ code, place }: Finding): boolean {
  return code === 'key_missing' || (code === 'platform_variable_missing' && place?.kind === 'variable')
}

/** To the line: two findings about one line may differ in their columns. */
function at({ place }: Finding): string {
  if (place === undefined) return ''
  return place.kind === 'file' ? `${place.path}:${place.line}` : describePlace(place)
}
