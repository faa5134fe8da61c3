import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { mutations } from './mutations.ts'

/** That each is caught takes minutes: `npm run sim -- --mutations`. Here, that each still is a change of the source. */
it('every deliberate defect has its one place in the source', async () => {
  for (const { name, file, find, replace } of mutations) {
    const source = await readFile(new URL(`../../src/${file}`, import.meta.url), 'utf8')
    expect(source.split(find).length - 1, name).toBe(1)
    expect(replace, name).not.toBe(find)
  }
})

it('every deliberate defect has a name of its own and a seed that catches it', () => {
  expect(new Set(mutations.map(({ name }) => name)).size).toBe(mutations.length)
  expect(mutations.length).toBeGreaterThanOrEqual(20)
  for (const { name, seed } of mutations) expect(seed, name).toBeGreaterThan(0)
})
