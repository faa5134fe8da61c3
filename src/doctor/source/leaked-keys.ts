import { fingerprint } from '../../core/fingerprint.ts'
import type { Secret } from '../../core/secret.ts'
import { describePlace, type Finding, type Place } from '../finding.ts'
import { hasOwnCheck } from '../manifests/owned.ts'
import { isTemplate } from '../manifests/paths.ts'
import { type Look, projectCheck } from '../project/project-check.ts'
import { realKeysIn } from '../project/real-key.ts'
import { languageOf } from '../project/source-text.ts'
import { shellWord } from '../shell-word.ts'

/** Of all files together. */
const searchedCharactersMax = 128 * 1_048_576

/** Keys that stand in the source, or in a file that git keeps. */
export const leakedKeys = projectCheck('leaked keys', (look) => {
  const findings: Finding[] = []
  let characters = 0
  for (const path of look.files.list()) {
    if (look.files.isIgnored(path) === true) continue
    const text = look.files.read(path)
    if (text === undefined) continue
    characters += text.length
    if (characters > searchedCharactersMax) break
    if (text.includes('sk-') && !hasOwnCheck(path, text)) findings.push(...ofFile(look, path, text))
  }
  return findings
})

function ofFile(look: Look, path: string, text: string): readonly Finding[] {
  const isSource = languageOf(path) !== undefined
  if (!isSource && !isShared(look, path)) return []
  const seen = new Set<string>()
  const isKeptAlone = !isSource && look.files.isTracked(path) === undefined
  return realKeysIn(text).flatMap(({ start, secret }) => {
    // Outside of a repository, a file of nothing else is where somebody keeps the key on purpose.
    if (isKeptAlone && secret.length === text.trim().length) return []
    const print = fingerprint(secret, look.context.system)
    if (seen.has(print)) return []
    seen.add(print)
    const place = { kind: 'file', path, line: text.slice(0, start).split('\n').length } as const
    return [leak(look, { place, secret, isSource })]
  })
}

/**
 * Whether others get the file: git keeps it, or nothing keeps git from it. A dotenv file outside of a repository is where a
 * key belongs.
 */
function isShared({ files }: Look, path: string): boolean {
  const isTracked = files.isTracked(path)
  if (isTracked !== undefined) return true
  const name = path.slice(path.lastIndexOf('/') + 1)
  return !/^\.env|\.env$|^\.dev\.vars$|^secrets?\.|^\.?credentials/i.test(name) || isTemplate(path)
}

export function leak(
  look: Look,
  about: {
    readonly place: Extract<Place, { readonly kind: 'file' }>
    readonly secret: Secret
    readonly isSource: boolean
  },
): Finding {
  const { place, secret, isSource } = about
  const isTracked = look.files.isTracked(place.path)
  const state =
    isTracked === true ? ', which git keeps,' : isTracked === false ? ', which git does not ignore,' : ''
  const ignore =
    !isSource && /(?:^|\/)\.env/.test(place.path)
      ? `\ngit rm --cached --ignore-unmatch ${shellWord(place.path)} && echo ${shellWord(place.path)} >> .gitignore`
      : `\nThen ${isSource ? 'read OPENAI_API_KEY from the environment there' : `take it out of ${place.path}`}.`
  return {
    code: isSource ? 'key_in_source' : 'key_in_repository',
    // It leaks with the next `git add`, and not before.
    severity: isSource || isTracked !== false ? 'error' : 'warning',
    seen: `${describePlace(place)}${state} holds a key of ${secret.length} characters.`,
    cause: isSource
      ? 'The key is written into the source, so everybody who can read the source has it.'
      : 'The key is in a file of the repository, so everybody who can read the repository, now or later, has it.',
    fix: `${turn(look, secret)}${ignore}`,
    place,
    fingerprint: fingerprint(secret, look.context.system),
  }
}

/** Where Keyturn has the key, it can turn it; where not, the dashboard revokes it. */
export function turn({ facts }: Look, secret: Secret): string {
  const credential = facts.keyturn?.credentials.find(
    ({ stored }) => stored.kind === 'found' && stored.secret.equals(secret),
  )
  return credential === undefined
    ? 'Revoke the key at https://platform.openai.com/api-keys and make a new one.'
    : `keyturn rotate ${credential.name} --emergency --compromised`
}
