/** `npm run docs`: writes the generated blocks of the pages, the JSON Schema of the configuration, and what the chart brings of others. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileJsonSchema } from '../../src/config/schema.ts'
import { chartCopies } from '../deploy/chart-copies.ts'
import { made, pages, repository } from './pages.ts'

for (const { path, text } of pages()) {
  const current = made(text)
  if (current === text) continue
  writeFileSync(join(repository, path), current)
  process.stdout.write(`wrote ${path}\n`)
}
const schemaFile = join(repository, 'docs', 'keyturn.schema.json')
const schema = fileJsonSchema()
if (JSON.stringify(JSON.parse(readFileSync(schemaFile, 'utf8'))) !== JSON.stringify(schema))
  writeFileSync(schemaFile, `${JSON.stringify(schema, undefined, 2)}\n`)
for (const { from, to } of chartCopies) copyFileSync(from, to)
