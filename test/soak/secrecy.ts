import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Canaries } from '../system/canaries.ts'

/** Files that are there to hold a secret: tokens, the admin key, and the store's own, which are encrypted. */
const secretFiles = /^(?:home\/)?(?:operator\.token|app\.token|admin\.key)$/

/** Everything that anybody but the rightful app could read, by where it stands. */
export function readable(
  folder: string,
  shown: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    if (statSync(path).isFile() && !secretFiles.test(name))
      texts.set(`file ${name}`, readFileSync(path, 'latin1'))
  }
  for (const [who, all] of shown) texts.set(`/proc of ${who}`, all.join('\n'))
  return texts
}

/** Where a piece of a secret stands; never the piece. */
export function leaks(canaries: Canaries, texts: ReadonlyMap<string, string>): readonly string[] {
  const found = canaries.search(texts).map(({ where, offset }) => `${where}, at ${offset}`)
  // What OpenAI says of a key echoes its ends; none of its sentences goes anywhere.
  const echoed = [...texts].filter(([, text]) => text.includes('Incorrect API key provided'))
  return [...found, ...echoed.map(([where]) => `${where}: a sentence of OpenAI`)]
}
