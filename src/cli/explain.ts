import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { nearest } from '../core/nearest.ts'
import { packageFolder } from '../package-folder.ts'
import { usage } from './command.ts'
import { faultOf } from './fault.ts'

/** The section of a finding in docs/troubleshooting.md. Errors: `usage` for a code that there is not, `file_unusable`. */
export function explanationOf(code: string): { readonly code: string; readonly text: string } {
  const sections = explanations()
  const text = sections.get(code)
  if (text !== undefined) return { code, text }
  const known = [...sections.keys()]
  const near = nearest(code, known)
  throw usage(
    'there is no finding of that code',
    near === undefined ? `There are: ${known.join(', ')}.` : `Did you mean ${near}?`,
  )
}

/** Every section of the page by its code. Error: `file_unusable`. */
export function explanations(): ReadonlyMap<string, string> {
  return sectionsOf(readPage())
}

/** Sections by their code: from one heading `### \`code\`` to the next heading. */
function sectionsOf(text: string): ReadonlyMap<string, string> {
  const sections = new Map<string, string>()
  for (const part of text.split(/^(?=#{2,3} )/m)) {
    const code = /^### `([a-z_]+)`/.exec(part)?.[1]
    if (code !== undefined) sections.set(code, part.trim())
  }
  return sections
}

function readPage(): string {
  try {
    return readFileSync(join(packageFolder(), 'docs', 'troubleshooting.md'), 'utf8')
  } catch (thrown) {
    throw faultOf(thrown, 'the explanations could not be read')
  }
}
