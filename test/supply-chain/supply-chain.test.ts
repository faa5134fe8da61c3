import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { forDevelopment, isAllowed, licencesDocument, permissive } from './licences.ts'
import { type Locked, lockedPackages, readLockfile, repository } from './lockfile.ts'
import { missingFrom } from './missing.ts'

const lockfile = readLockfile()
const packages = lockedPackages(lockfile)
const manifest = JSON.parse(readFileSync(new URL('package.json', repository), 'utf8')) as {
  readonly allowScripts: Readonly<Record<string, boolean>>
  readonly [field: string]: unknown
}

describe('the lockfile', () => {
  it('is of this package.json', () => {
    const root = lockfile.packages['']
    for (const field of ['dependencies', 'devDependencies', 'peerDependencies'])
      expect(root?.[field]).toEqual(manifest[field])
  })

  it('pins every package by a hash of its content, from the registry', () => {
    const loose = packages.filter(
      ({ integrity = '', resolved = 'https://registry.npmjs.org/' }) =>
        !integrity.startsWith('sha512-') || !resolved.startsWith('https://registry.npmjs.org/'),
    )
    expect(loose.map(({ name }) => name)).toEqual([])
    expect(packages.length).toBeGreaterThan(100)
  })
})

describe('scripts at installation', () => {
  const withScript = packages.filter(({ hasInstallScript }) => hasInstallScript)

  it('are those that package.json names, and it names no other', () => {
    expect(Object.keys(manifest.allowScripts).sort()).toEqual(withScript.map(({ name }) => name).sort())
  })

  it('run for nothing that is installed with Keyturn, and otherwise only for the Node that runs the tests', () => {
    expect(withScript.filter(({ isProduction }) => isProduction)).toEqual([])
    expect(Object.entries(manifest.allowScripts).filter(([, isAllowed]) => isAllowed)).toEqual([
      ['node', true],
    ])
  })
})

describe('licences', () => {
  it('of what is installed with Keyturn ask for no more than a notice', () => {
    const others = packages.filter(
      ({ isProduction, licence }) => isProduction && !isAllowed(licence, permissive),
    )
    expect(others).toEqual([])
  })

  it('of all else are known', () => {
    expect(packages.filter(({ licence }) => !isAllowed(licence, forDevelopment))).toEqual([])
  })

  it('are in docs/licences.md as they are in the lockfile (npm run licences)', () => {
    expect(readFileSync(new URL('docs/licences.md', repository), 'utf8')).toBe(licencesDocument(packages))
  })

  it('are in the lockfile as the packages themselves say', () => {
    const wrong = packages.filter(({ name, version, licence, isProduction }) => {
      if (!isProduction) return false
      const own = JSON.parse(
        readFileSync(new URL(`node_modules/${name}/package.json`, repository), 'utf8'),
      ) as { readonly version: string; readonly license?: string }
      return own.version === version && own.license !== licence
    })
    expect(wrong).toEqual([])
  })

  it.each([
    ['MIT', true],
    ['(AFL-2.1 OR BSD-3-Clause)', true],
    ['MIT AND GPL-3.0-only', false],
    ['GPL-3.0-only', false],
    ['AGPL-3.0', false],
    ['MPL-2.0', false],
    ['UNLICENSED', false],
    ['none is stated', false],
    ['SEE LICENSE IN LICENSE.md', false],
  ])('such as %s may be shipped: %s', (licence, may) => {
    expect(isAllowed(licence, permissive)).toBe(may)
  })
})

describe('the bill of materials', () => {
  const one: Locked = {
    name: '@a/b',
    version: '1.2.3',
    licence: 'MIT',
    isProduction: true,
    integrity: '',
    resolved: undefined,
    hasInstallScript: false,
  }
  const component = { purl: 'pkg:npm/%40a/b@1.2.3', hashes: [1], licenses: [1] }

  it('lacks what is not in it, or only by its name', () => {
    const lacking = (components: readonly object[]) =>
      missingFrom({ bomFormat: 'CycloneDX', components }, [one])
    expect(lacking([component])).toEqual([])
    expect(lacking([])).toEqual(['@a/b@1.2.3'])
    expect(lacking([{ ...component, hashes: [] }])).toEqual(['@a/b@1.2.3'])
    expect(lacking([{ ...component, purl: 'pkg:npm/%40a/b@1.2.4' }])).toEqual(['@a/b@1.2.3'])
  })
})
