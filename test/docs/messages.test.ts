import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { withoutCode } from './markdown.ts'
import { pages, repository } from './pages.ts'

/** All that Keyturn can say, with holes where it names something. */
const sources = readdirSync(join(repository, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(repository, 'src', name), 'utf8'))
  .join('\n')
  .replaceAll(/['`]\s*\+\s*['`]/g, '')
  .replaceAll("\\'", "'")

/** What is different each time: names, versions, instants, places, and what the page leaves out. */
const holes =
  /^error: |openai|\boperate\b|aws-secrets-manager: \S+|in the variable|\bAPP\b|\bINSTANCE\b|\(batch-7\)|…|\d[\w.:-]*|proj_\w*|postgres:\/\/|keyturn\.yaml|OPENAI_\w+|\.env\b|[()]/

const quoted = pages()
  .filter(({ path }) => /^docs\/(?:symptoms|tasks)\//.test(path))
  .flatMap(({ path, text }) =>
    [...withoutCode(text).matchAll(/`([^`\n]+)`/g)]
      .map(([, message = '']) => message)
      .filter((message) => /^[A-Z][a-z].* .* .*[a-z.,]$/.test(message) || message.endsWith('.'))
      .map((message) => ({ path, message })),
  )

it('messages are quoted', () => {
  expect(quoted.length).toBeGreaterThan(30)
})

it.each(quoted)('$path quotes what Keyturn says: $message', ({ message }) => {
  const parts = message.split(holes).map((part) => part.trim().replace(/\.$/, ''))
  const said = parts.filter((part) => part.length >= 8)
  expect(said.filter((part) => !sources.includes(part))).toEqual([])
})
