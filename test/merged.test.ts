import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { repository } from './tidy-source.ts'

it('nothing is left of a merge in any file', () => {
  // What others make, and what is no text.
  const passedOver =
    /^(?:node_modules|dist|coverage|\.git|\.keyturn)(?:\/|$)|\/(?:node_modules|\.terraform)\/|\.png$/
  const paths = readdirSync(repository, { withFileTypes: true })
    .filter((entry) => !passedOver.test(entry.name))
    .flatMap((entry) => (entry.isFile() ? [entry.name] : filesIn(entry.name)))
    .filter((path) => !passedOver.test(path))
  expect(paths).toContain('docs/container.md')
  expect(paths.filter((path) => leftOfMerge.test(readFileSync(join(repository, path), 'utf8')))).toEqual([])
})

const leftOfMerge = /^(?:<{7}|>{7}) /m

function filesIn(folder: string): readonly string[] {
  return readdirSync(join(repository, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1))
}
