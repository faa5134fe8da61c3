import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const docs = join(import.meta.dirname, '..', '..', '..', 'docs', 'stores.md')

/** The block of code under `### Least privilege` of a store's section that `marker` is in: what users paste is what is tested. */
export function documentedPolicy(store: string, language: string, marker: string): string {
  const section = readFileSync(docs, 'utf8')
    .split(/^## /m)
    .find((text) => text.startsWith(`${store}\n`))
  const policies = section?.split(/^### /m).find((text) => text.startsWith('Least privilege\n'))
  const blocks = policies?.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms')) ?? []
  const found = [...blocks].map(([, block]) => block ?? '').filter((block) => block.includes(marker))
  if (found.length !== 1)
    throw new Error(`docs/stores.md has ${found.length} policies of ${store} with ${marker}`)
  return found[0] ?? ''
}
