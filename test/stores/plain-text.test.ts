import { expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { Secret } from '../../src/core/secret.ts'
import { fieldOf, parseJson } from '../../src/stores/plain-text.ts'
import { valueFormat } from '../../src/stores/value-format.ts'

const nested = (depth: number, inside: string): string => `${'['.repeat(depth)}${inside}${']'.repeat(depth)}`
const document = (depth: number, inside = '1'): string => `{"key":"sk-x","deep":${nested(depth, inside)}}`
const format = valueFormat({ format: 'json', field: 'key' })

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (thrown) {
    return thrown instanceof KeyturnError ? thrown.code : `no KeyturnError but ${String(thrown)}`
  }
  return 'nothing thrown'
}

// Numbers such as 1.10 are read by a reviver, which walks through the document itself.
it.each([201, 3_000, 8_000, 30_000])('what is nested %i deep is malformed, and no bug', (depth) => {
  for (const inside of ['1', '1.10', '"}]"']) {
    const text = document(depth, inside)
    expect(parseJson(text)).toBeUndefined()
    expect(codeOf(() => fieldOf(text, 'key', 'the secret'))).toBe('store_malformed')
    expect(codeOf(() => format.read(text, 'openai'))).toBe('store_malformed')
    expect(codeOf(() => format.write(new Secret('new'), text, 'openai'))).toBe('store_malformed')
    expect(format.isWithoutKey(text)).toBe(false)
  }
})

it('brackets inside of texts are no nesting, and neither are many side by side', () => {
  const text = `{"key":"sk-x","a":"\\"${'['.repeat(5_000)}\\\\","many":[${Array(5_000).fill('[1.10]').join(',')}]}`
  expect(format.read(text, 'openai').equals(new Secret('sk-x'))).toBe(true)
  expect(format.write(new Secret('sk-y'), text, 'openai')).toBe(text.replace('sk-x', 'sk-y'))
  const deepest = document(199, '1.10')
  expect(format.write(new Secret('sk-y'), deepest, 'openai')).toBe(deepest.replace('sk-x', 'sk-y'))
})
