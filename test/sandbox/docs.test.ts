import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { defaultKnobs, taxonomyNames } from '../../src/sandbox/index.ts'
import { plumbingKinds } from '../../src/sandbox/knobs.ts'

const text = readFileSync(new URL('../../docs/sandbox.md', import.meta.url), 'utf8')

test.each(Object.keys(defaultKnobs))('docs/sandbox.md has a line for the knob %s', (knob) => {
  expect(text).toContain(`\n| \`${knob}\` |`)
})

test.each([...plumbingKinds, ...taxonomyNames])('docs/sandbox.md names the fault %s', (kind) => {
  expect(text).toContain(`\`${kind}\``)
})
