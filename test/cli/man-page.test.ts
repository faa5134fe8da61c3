import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, type TestContext } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import { specs } from '../../src/cli/specs.ts'
import { manPage } from './man-page.ts'

const path = fileURLToPath(new URL('../../man/keyturn.1', import.meta.url))

/** What a program says of the page, and what the page looks like. */
function rendered(command: string, args: readonly string[], { skip }: TestContext) {
  const { error, stdout, stderr, status } = spawnSync(command, [...args, path], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80', MAN_KEEP_FORMATTING: '' },
  })
  if (error !== undefined) skip(`${command} is not installed on this machine`)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

describe('man/keyturn.1', () => {
  it('is what the specs say: npm run man writes it', () => {
    expect(readFileSync(path, 'utf8')).toBe(manPage(manifest.version))
  })

  it('goes with the package', () => {
    expect(manifest.man).toBe('./man/keyturn.1')
    expect(manifest.files).toContain('man/keyturn.1')
  })

  it('is taken by groff without a warning, and shows every command with its examples', (context) => {
    const page = rendered('groff', ['-man', '-ww', '-Tutf8', '-P-cbou', '-rLL=300n'], context)
    for (const { name, examples } of specs) {
      expect(page).toContain(`keyturn ${name}`)
      for (const example of examples) expect(page).toContain(example)
    }
  })

  it('is taken by man without a warning', (context) => {
    expect(rendered('man', ['--warnings', '-E', 'UTF-8', '-l'], context)).toMatch(/^KEYTURN\(1\)/)
  })

  it('is taken by mandoc without a warning', (context) => {
    expect(rendered('mandoc', ['-man', '-Tlint', '-Wwarning'], context)).toBe('')
  })
})
