import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openParser } from './hcl.ts'
import { loadModule, moduleFolders } from './modules.ts'
import { readmeOf, tablesOf } from './readmes.ts'

const parse = await openParser()
const modules = moduleFolders()
  .map((folder) => loadModule(folder, parse))
  .filter(({ name }) => !name.startsWith('examples/'))

test.each(modules)('the README of $name has its inputs and outputs as they are (npm run docs)', (module) => {
  const { text, made } = readmeOf(module)
  expect(tablesOf(text)).toEqual(['inputs', 'outputs'])
  expect(text).toBe(made)
})

test.each(modules)('the links of the README of $name lead to what is there', (module) => {
  const { text } = readmeOf(module)
  const targets = [...text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target)
  expect(targets.filter((target) => !existsSync(join(module.folder, target)))).toEqual([])
  expect(targets.length).toBeGreaterThan(0)
})
