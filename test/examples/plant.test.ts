import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, sep } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspectKeyShape } from '../../src/core/key-inspection.ts'
import { type Finding, projects } from './manifest.ts'
import { makeValue, markersIn } from './markers.ts'
import { type Planted, plant, trackedFiles } from './plant.ts'

const all = projects()
const cases = all.map((project) => [project.name, project] as const)

/** The rows that files and the environment tell alone; all others take an answer of OpenAI, a store or a clock. */
const offlineRows = 'T01 T02 T03 T04 T05 T06 T24 T25 T27 T28 T29 T30 T31 T33 T37 T38 T39 T40'.split(' ')
/** What is wrong about them is that something is absent, or what OpenAI says. */
const rowsOfAbsence = ['T01', 'T30']

let root: string
const planted = new Map<string, Planted>()

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'planted-'))
  for (const { name } of all) planted.set(name, await plant(name, join(root, name)))
})
afterAll(() => rmSync(root, { recursive: true }))

function plantedAs(name: string): Planted {
  const found = planted.get(name)
  if (found === undefined) throw new TypeError(`${name} was not planted`)
  return found
}

function filesOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((path) => !path.startsWith('.git/'))
}

const read = (project: Planted, file: string) => readFileSync(join(project.folder, file), 'utf8')

function findingsOf({ manifest }: Planted): readonly Finding[] {
  return [...manifest.planted, ...(manifest.alsoAccepted ?? [])]
}

describe.each(cases)('%s', (name, project) => {
  it('is planted whole, with no marker left, in a repository of its own', async () => {
    const here = plantedAs(name)
    const files = filesOf(here.folder)
    expect(files).toEqual(expect.arrayContaining(['README.md', '.gitignore']))
    expect(files).not.toContain('planted.json')
    expect(files.filter((file) => /(?:^|\/)(?:dot\.|installed_modules)/.test(file))).toEqual([])
    for (const file of files) expect([file, markersIn(read(here, file))]).toEqual([file, []])
    expect(markersIn(JSON.stringify(here.manifest))).toEqual([])
    expect(readdirSync(here.cwd).length).toBeGreaterThan(0)
    const tracked = await trackedFiles(here.folder)
    expect(tracked).toContain('README.md')
    expect(tracked.filter((file) => !files.includes(file))).toEqual([])
  })

  it('has what planted.json names, where it names it', () => {
    const here = plantedAs(name)
    for (const one of findingsOf(here)) {
      if (one.file !== undefined) {
        const lines = read(here, one.file).split('\n')
        if (one.line !== undefined) expect(one.text, `${one.file}:${one.line}`).toBeDefined()
        const place = one.line === undefined ? lines.join('\n') : lines[one.line - 1]
        expect(place).toContain(one.text ?? '')
      } else if (one.variable !== undefined && !rowsOfAbsence.includes(one.row)) {
        expect(Object.keys(here.env)).toContain(one.variable)
      }
    }
  })

  it('says what is wrong where it is broken, and nothing where it is healthy', () => {
    const count = project.manifest.planted.length
    if (project.group === 'healthy') expect(findingsOf(plantedAs(name))).toEqual([])
    else expect(count >= 1 && count <= 5, `${count} planted causes`).toBe(true)
  })

  it('has no key in git but where that is planted', async () => {
    const here = plantedAs(name)
    const secrets = Object.entries(here.values).filter(([value]) => !value.includes(':'))
    const leaks = (await trackedFiles(here.folder)).filter((file) => {
      const text = read(here, file)
      return secrets.some(([, secret]) => text.includes(secret) || text.includes(btoa(`${secret}\n`)))
    })
    const allowed = findingsOf(here).filter(({ row }) => ['T27', 'T28', 'T29'].includes(row))
    expect(leaks.filter((file) => !allowed.some((one) => one.file === file))).toEqual([])
  })

  it('stores no text that has the shape of a key, but for those that say that they are fake', () => {
    for (const file of readdirSync(project.source, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue
      const text = readFileSync(join(file.parentPath, file.name), 'utf8')
      const keys = text.match(/\bsk-(?!fake|proj-FAKE|test-0|ant-fake)[\w-]{20,}/g) ?? []
      // Words such as task- end in the same letters; a word boundary keeps them out.
      expect([file.name, keys]).toEqual([file.name, []])
    }
  })
})

describe('all projects together', () => {
  it('plant every cause that needs no answer of OpenAI', () => {
    const rows = new Set(all.flatMap(({ manifest }) => manifest.planted.map(({ row }) => row)))
    expect(offlineRows.filter((row) => !rows.has(row))).toEqual([])
  })

  it('are at least ten broken and four healthy ones, each by a name of its own', () => {
    expect(all.filter(({ group }) => group === 'broken').length).toBeGreaterThanOrEqual(10)
    expect(all.filter(({ group }) => group === 'healthy').length).toBeGreaterThanOrEqual(4)
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
  })

  it('are listed by cause in the README', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../examples/broken/README.md'), 'utf8')
    const listed = [...readme.matchAll(/^\| (T\d\d) \| [^|]+ \| (.+) \|$/gm)].map(([, row, names = '']) => [
      row,
      names.replaceAll('`', '').split(', '),
    ])
    const pairs = all.flatMap(({ name, manifest }) => manifest.planted.map(({ row }) => ({ row, name })))
    const rows = [...new Set(pairs.map(({ row }) => row))].sort()
    const namesOf = (row: string) => [
      ...new Set(pairs.filter((one) => one.row === row).map(({ name }) => name)),
    ]
    expect(listed).toEqual(rows.map((row) => [row, namesOf(row)]))
  })

  it('get new keys each time, and those that are given', async () => {
    const first = plantedAs('windows-env')
    const again = await plant('windows-env', join(root, 'again'))
    expect(again.values['main']).not.toBe(first.values['main'])
    const main = makeValue('key')
    const given = await plant('windows-env', join(root, 'given'), { main })
    expect(read(given, '.env')).toBe(`\uFEFFOPENAI_API_KEY=${main}\r\nPORT=8080\r\n`)
  })
})

describe('planting', () => {
  it('refuses a folder that has something in it', async () => {
    const folder = mkdtempSync(join(root, 'full-'))
    writeFileSync(join(folder, 'mine.txt'), 'mine')
    await expect(plant('windows-env', folder)).rejects.toThrow('is not empty')
    expect(readdirSync(folder)).toEqual(['mine.txt'])
  })

  it.each(['no-such-project', '../broken/windows-env'])(
    'refuses %s and tells what there is',
    async (name) => {
      await expect(plant(name, join(root, 'none'))).rejects.toThrow(
        /There is no project .*express-wrong-name/,
      )
    },
  )

  it.each([
    ['key', 'project'],
    ['service', 'service_account'],
    ['admin', 'admin'],
    ['legacy', 'legacy_user'],
    ['anthropic', 'other_provider'],
    ['azure', 'other_provider'],
  ] as const)('makes a %s in the shape of one', (kind, shape) => {
    expect(inspectKeyShape(makeValue(kind))).toMatchObject({ kind: shape, problems: [] })
  })
})
