import { describe, expect, it } from 'vitest'
import { run } from '../../src/cli/main.ts'
import { sections, specs } from '../../src/cli/specs.ts'
import { fakeIo } from './fake-io.ts'

async function keyturn(line: string) {
  const io = fakeIo({ env: { KEYTURN_URL: 'http://127.0.0.1:1', KEYTURN_OPERATOR_TOKEN: 'kt_op_x' } })
  const code = await run(line === '' ? [] : line.split(' '), io)
  return { code, out: io.out(), err: io.err() }
}

describe('the help', () => {
  it('names every command, under what it is for', async () => {
    const { out } = await keyturn('--help')
    const blocks = new Map(out.split('\n\n').map((block) => [block.split('\n')[0], block]))
    for (const { title, specs: own } of sections) {
      const block = blocks.get(`${title}:`) ?? ''
      for (const { name } of own) {
        const [first = '', second = ''] = name.split(' ')
        const isListed = new RegExp(`^  ${first} .*`, 'm').exec(block)?.[0] ?? ''
        expect(isListed, name).not.toBe('')
        // A command that is one itself has those inside of it in its own help.
        if (!specs.some((spec) => spec.name === first)) expect(isListed).toContain(second)
      }
    }
  })

  it.each(specs.map((spec) => [spec.name, spec] as const))('of %s shows its examples', async (name, spec) => {
    const { code, out, err } = await keyturn(`${name} --help`)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).not.toContain('(default: []')
    for (const example of spec.examples) {
      expect(out).toContain(`\n  ${example}\n`)
      expect(example).toContain(`keyturn ${name}`)
    }
  })

  it('fits 80 columns, but for examples', async () => {
    const io = fakeIo({ columns: 80, isTerminal: true })
    for (const { name } of specs) await run([...name.split(' '), '--help'], io)
    await run(['--help'], io)
    const examples = specs.flatMap((spec) => spec.examples)
    const wide = io
      .out()
      .split('\n')
      .filter((line) => line.length > 80 && !examples.includes(line.trim()))
    expect(wide).toEqual([])
  })

  it('is there for a command inside of a group, however it is asked for', async () => {
    for (const line of ['help audit verify', 'audit verify -h', 'audit verify --help'])
      expect((await keyturn(line)).out).toMatch(/^Usage: keyturn audit verify/)
  })

  it('of a command that is not there is refused with a guess', async () => {
    for (const line of ['help tokn', 'tokn --help']) {
      const { code, out, err } = await keyturn(line)
      expect({ code, out }).toEqual({ code: 2, out: '' })
      expect(err).toMatch(/unknown command 'tokn'\nfix: {3}Did you mean token\?/)
    }
  })
})

describe('a mistyped command inside of a group', () => {
  it.each([
    ['audit verfy', 2, 'audit verify'],
    ['audit verfy --help', 2, 'audit verify'],
    ['token creat x', 2, 'token create'],
    ['config chek', 2, 'config check'],
    ['report verfy', 1, 'report verify'],
    ['report verfy report.json --key signing-key.pub', 2, 'report verify'],
    ['report verfy a b', 2, 'report verify'],
  ])('%s is guessed', async (line, expected, meant) => {
    const { code, out, err } = await keyturn(line)
    expect({ code, out }).toEqual({ code: expected, out: '' })
    expect(err).toContain(`Did you mean 'keyturn ${meant}'?`)
  })

  it('is not guessed where a credential may be called so', async () => {
    expect((await keyturn('report billing')).err).not.toMatch(/Did you mean/)
  })
})
