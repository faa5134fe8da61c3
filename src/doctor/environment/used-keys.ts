import { inspectSecret, type KeyShape } from '../../core/key-inspection.ts'
import { folderOf } from '../dotenv/loading.ts'
import type { DotenvFile, DotenvVariable, Facts, KeyPlace } from '../facts.ts'
import type { Place } from '../finding.ts'
import { keyNames } from '../gather.ts'

/** Where a variable stands in a dotenv file. */
export function placeIn(
  file: DotenvFile,
  { line, column, name }: DotenvVariable,
): Extract<Place, { readonly kind: 'file' }> {
  return { kind: 'file', path: file.path, line, column, name }
}

/**
 * The keys that something would call with, so far as the environment and dotenv files give them: what is shadowed by another
 * is never sent anywhere. Folders count each for itself, as programs of a workspace do. Where nothing is loaded, what would be
 * if it were.
 */
export function usedKeys(facts: Facts): readonly KeyPlace[] {
  if (facts.key?.place.kind === 'variable') return [facts.key]
  const names = keyNames(facts.scan)
  const loaded = facts.dotenv.filter(({ loaders }) => loaders.length > 0)
  const used = winners(loaded, names)
  return used.length > 0 ? used : winners(facts.dotenv, names)
}

function winners(files: readonly DotenvFile[], names: readonly string[]): readonly KeyPlace[] {
  const byFolder = new Map<string, KeyPlace>()
  for (const file of files) {
    const variable = file.variables.findLast(
      ({ name, text, isReference }) => names.includes(name) && text.length > 0 && !isReference,
    )
    const folder = folderOf(file.path)
    if (variable === undefined || byFolder.has(folder)) continue
    byFolder.set(folder, { place: placeIn(file, variable), text: variable.text })
  }
  return [...byFolder.values()]
}

/** Whether the text is an OpenAI key for certain, whatever was pasted along with it. */
export function isOpenAiKey(shape: KeyShape, length: number): boolean {
  const { core } = shape
  // Other vendors' keys begin with `sk-` as well; of this length are only OpenAI's.
  return core === 'project' || core === 'service_account' || (core === 'legacy_user' && length === 51)
}

export function inspectKey(key: {
  readonly text: KeyPlace['text']
}): KeyShape & { readonly isOpenAi: boolean } {
  const shape = inspectSecret(key.text)
  return { ...shape, isOpenAi: isOpenAiKey(shape, key.text.length) }
}

/** Whose API is called: OpenAI's own, something on this machine, or another. */
export function apiOf(facts: Facts): 'openai' | 'local' | 'other' {
  if (facts.baseUrl === undefined) return 'openai'
  const host = URL.canParse(facts.baseUrl.value) ? new URL(facts.baseUrl.value).hostname : ''
  if (host === 'api.openai.com' || host.endsWith('.api.openai.com')) return 'openai'
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\]|host\.docker\.internal)$/.test(host) ? 'local' : 'other'
}
