// `npm run docs`: writes the tables of inputs and outputs into the READMEs of the modules.
import { writeFileSync } from 'node:fs'
import { openParser } from './hcl.ts'
import { loadModule, moduleFolders } from './modules.ts'
import { readmeOf } from './readmes.ts'

const parse = await openParser()
for (const folder of moduleFolders().filter((one) => !one.includes('/examples/'))) {
  const { path, text, made } = readmeOf(loadModule(folder, parse))
  if (made === text) continue
  writeFileSync(path, made)
  process.stdout.write(`wrote ${path}\n`)
}
