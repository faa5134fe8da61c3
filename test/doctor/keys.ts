import { randomBytes } from 'node:crypto'

// Built at run time: no text of the tests has the shape of a key.
const infix = Buffer.from('OpenAI').toString('base64')
const characters = (count: number) => randomBytes(count).toString('base64url').slice(0, count)

export type TestKeyKind = 'proj' | 'svcacct' | 'admin' | 'legacy'

const sides: Readonly<Record<TestKeyKind, number>> = { proj: 74, svcacct: 74, admin: 58, legacy: 20 }

/** A new key in the shape of that kind. */
export function newKey(kind: TestKeyKind = 'proj'): string {
  const side = sides[kind]
  if (kind === 'legacy') {
    // The bytes are many enough that what is left out of base64 matters to no length.
    const half = () =>
      randomBytes(4 * side)
        .toString('base64')
        .replaceAll(/[+/=]/g, '')
        .slice(0, side)
    return `sk-${half()}${infix}${half()}`
  }
  return `${['sk', kind, ''].join('-')}${characters(side)}${infix}${characters(side)}`
}
