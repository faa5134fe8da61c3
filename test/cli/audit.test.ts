import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { realFiles } from '../../src/audit/files.ts'
import { createFolderHeads } from '../../src/audit/head-places.ts'
import { createHeadKeeper } from '../../src/audit/heads.ts'
import type { Journal } from '../../src/audit/journal.ts'
import { pageOf } from '../../src/audit/journal-reader.ts'
import { openJournal } from '../../src/audit/open-journal.ts'
import { run } from '../../src/cli/main.ts'
import { id, manualSystem, open, read } from '../audit/journal-harness.ts'
import { bearer, signerIn, startServer } from '../server/harness.ts'
import { type FakeIoOptions, fakeIo } from './fake-io.ts'

/** A journal on a real disk, as a service left it. */
const made = mkdtempSync(join(tmpdir(), 'keyturn-audit-'))
let folder = ''
let pem = ''
let journal: Journal

beforeAll(async () => {
  const signer = signerIn(made)
  pem = (await signer.publicKey()).pem
  const system = manualSystem()
  const opened = await open({ files: realFiles, system, folders: [join(made, 'audit')] })
  journal = opened.journal
  const place = createFolderHeads(join(made, 'heads'), id, realFiles)
  const keeper = createHeadKeeper({ journal, id, signer, places: [place], system, log: () => undefined })
  for (let number = 0; number < 5; number += 1) await journal.record(read(number))
  await journal.record({ ...read(5), kind: 'refusal', outcome: 'forbidden', credential: 'other' })
  await keeper.seal()
  await journal.close()
})
afterAll(() => rmSync(made, { recursive: true, force: true }))

beforeEach(() => {
  folder = mkdtempSync(join(made, 'copy-'))
  for (const name of readdirSync(join(made, 'audit', id)))
    writeFileSync(join(folder, name), readFileSync(join(made, 'audit', id, name)))
})

async function keyturn(line: string, options: FakeIoOptions = {}) {
  const files = { '/srv/app/key.pub': pem, ...headFiles(), ...options.files }
  const io = fakeIo({ ...options, files, env: { KEYTURN_URL: 'http://127.0.0.1:1', ...options.env } })
  const code = await run(line.split(' '), io)
  return { code, out: io.out(), err: io.err(), io }
}

function headFiles(): Record<string, string> {
  const path = join(made, 'heads', `${id}.heads.jsonl`)
  return { [path]: readFileSync(path, 'utf8') }
}

const file = (): string => join(folder, readdirSync(folder)[0] ?? '')
const whole = (): string => join(made, 'audit')

describe('keyturn audit verify', () => {
  it('says that all is as it was written, with the heads of the second place', async () => {
    const { code, out, err } = await keyturn(
      `audit verify ${whole()} --heads ${join(made, 'heads')} --key key.pub`,
    )
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/: intact, rows 1 to 9 \(9\), sealed through row 9\n$/)
  })

  it('warns where no heads were held against it', async () => {
    const { code, err } = await keyturn(`audit verify ${whole()} --offline --key key.pub`)
    expect(code).toBe(0)
    expect(err).toContain('rows that were cut off after row 8 would not show: --heads PATH')
  })

  it('warns of heads of a journal that is not there: one that was taken away begins anew under another id', async () => {
    const elsewhere = join(made, 'anew')
    const system = manualSystem()
    const anew = 'ffeeddccbbaa9988'
    const { journal: another } = await openJournal({
      id: anew,
      folders: [elsewhere],
      others: [],
      reads: 'durable',
      waitMs: 2_000,
      keep: { ms: 1e12, bytes: 1e12 },
      keyturn: '1',
      files: realFiles,
      system,
      log: () => undefined,
      soon: (callback) => queueMicrotask(callback),
    })
    const place = createFolderHeads(join(made, 'heads'), anew, realFiles)
    const signer = signerIn(made)
    const log = (): void => undefined
    await createHeadKeeper({ journal: another, id: anew, signer, places: [place], system, log }).seal()
    await another.close()
    const heads = join(made, 'heads', `${anew}.heads.jsonl`)
    const files = { [heads]: readFileSync(heads, 'utf8') }
    const line = `audit verify ${elsewhere} --heads ${join(made, 'heads')} --key key.pub`
    const { code, err } = await keyturn(line, { files })
    rmSync(heads)
    expect(code).toBe(0)
    expect(err).toContain(`heads of the journal ${id}, and no such journal here`)
    expect(err).not.toContain('no heads of a second place')
  })

  it('names the first row where something is wrong, with file and line', async () => {
    const text = readFileSync(file(), 'utf8').split('\n')
    writeFileSync(file(), text.with(4, (text[4] ?? '').replace('"web"', '"bew"')).join('\n'))
    const { code, err, out } = await keyturn(`audit verify ${folder} --offline --key key.pub --json`)
    expect(code).toBe(1)
    expect(err).toContain(`row 5 is changed (${file()}:5)`)
    expect(JSON.parse(out)).toMatchObject({ isIntact: false })
  })

  it('finds rows that were cut off, by the heads', async () => {
    const lines = readFileSync(file(), 'utf8').split('\n')
    const cut = join(made, 'cut', id)
    realFiles.list(cut)
    writeFileSync(join(cut, '000000000000001.jsonl'), `${lines.slice(0, 6).join('\n')}\n`)
    // The folder of the journal, and a copy of one file under a name of its own.
    const copy = join(made, 'copied.jsonl')
    writeFileSync(copy, `${lines.slice(0, 6).join('\n')}\n`)
    for (const path of [join(made, 'cut'), copy]) {
      const { code, err } = await keyturn(`audit verify ${path} --heads ${join(made, 'heads')} --key key.pub`)
      expect(code).toBe(1)
      expect(err).toContain('row 7 is cut off')
    }
  })

  it('believes no key that nobody vouches for', async () => {
    const { code, err } = await keyturn(`audit verify ${folder} --offline`)
    expect(code).toBe(1)
    expect(err).toContain('--key FILE')
  })

  it('says what to give for a journal of another installation', async () => {
    const { code, err } = await keyturn(
      `audit verify ${whole()} --heads ${join(made, 'heads')} --key-id other`,
    )
    expect(code).toBe(1)
    expect(err).toContain('a head of the second place is foreign')
    expect(err).toContain('give its own key (--key FILE)')
  })

  it('refuses what is no journal', async () => {
    const { code, err } = await keyturn(`audit verify ${join(made, 'nothing')} --key key.pub`)
    expect(code).toBe(2)
    expect(err).toContain('there is no ')
  })
})

describe('keyturn audit export', () => {
  it('writes the rows as they stand in the file', async () => {
    const { code, out } = await keyturn(`audit export ${folder}`)
    expect([code, out]).toEqual([0, readFileSync(file(), 'utf8')])
  })

  it('only those that are asked for', async () => {
    const { out } = await keyturn(
      `audit export ${folder} --credential openai --after 4 --until 2027-01-01T00:00:00Z`,
    )
    expect(out.split('\n').map((line) => /"generation":(\d)/.exec(line)?.[1])).toEqual([
      '2',
      '3',
      '4',
      undefined,
    ])
  })

  it('into a new file, and over none', async () => {
    const to = join(folder, 'out.json')
    const { code, err } = await keyturn(`audit export ${folder} --to ${to}`, { files: { [to]: 'mine' } })
    expect(code).toBe(1)
    expect(err).toContain('there is a file')
    appendFileSync(to, '')
    const again = await keyturn(`audit export ${folder} --to ${to}`)
    expect([again.code, readFileSync(to, 'utf8')]).toEqual([0, readFileSync(file(), 'utf8')])
  })

  it('only of the file that is named, whatever it is called', async () => {
    const text = readFileSync(file(), 'utf8')
    const copy = join(folder, 'copy-of-some-rows.jsonl')
    writeFileSync(copy, `${text.split('\n').slice(0, 3).join('\n')}\n`)
    const { code, out } = await keyturn(`audit export ${copy}`)
    expect([code, out]).toEqual([0, readFileSync(copy, 'utf8')])
    const other = join(folder, 'notes.txt')
    writeFileSync(other, 'no row\n')
    const none = await keyturn(`audit export ${other}`)
    expect(none.code).toBe(2)
    expect(none.err).toContain(`${other} holds no row of an audit journal`)
  })

  it.each([
    ['--kind refusals', 'there is no such kind of row'],
    ['--since yesterday', '--since is no instant'],
  ])('refuses %s, and shows nothing in place of it', async (option, said) => {
    const { code, out, err } = await keyturn(`audit export ${folder} ${option}`)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(said)
  })

  it('says why somebody takes nothing', async () => {
    const { code, err } = await keyturn(`audit export ${folder} --to tcp://127.0.0.1:1`)
    expect(code).toBe(1)
    expect(err).toContain('tcp://127.0.0.1:1 did not take rows after 0 (ECONNREFUSED)')
  })

  it('never in plain text to another machine', async () => {
    const { code, err } = await keyturn(`audit export ${folder} --to http://siem.example.com/`)
    expect(code).toBe(2)
    expect(err).toContain('https://')
  })
})

it('keyturn audit list and status ask the service', async () => {
  const heads = { ...journal.status(), reads: 'durable', sealed: 8, headTroubles: ['ledger'] }
  const harness = await startServer({
    auditReader: {
      page: async ({ after, limit, filter }) => {
        const page = pageOf({ files: realFiles, folder, after, limit, filter })
        return { journal: id, items: page.rows, through: page.through, isEnd: page.isEnd }
      },
      heads: async () => ({ ...heads, items: [] }),
      status: () => heads,
    },
  })
  const env = { KEYTURN_URL: harness.url, KEYTURN_OPERATOR_TOKEN: harness.operator }
  const { code, out } = await keyturn('audit list --kind refusal', { env })
  expect(code).toBe(0)
  expect(out).toMatch(/ROW +AT[^\n]+\n8 +\S+ +refusal +getCredential +forbidden +web +other +10\.0\.0\.1\n$/)
  const latest = await keyturn('audit list --limit 2 --json', { env })
  expect((JSON.parse(latest.out) as { items: { seq: number }[] }).items.map(({ seq }) => seq)).toEqual([8, 9])
  const status = await keyturn('audit status', { env })
  expect(status.code).toBe(3)
  expect(status.out).toContain('heads do not reach ledger')
  const answer = await fetch(`${harness.url}/metrics`, { headers: bearer(harness.operator) })
  expect(await answer.text()).toContain(`keyturn_audit_row ${journal.status().seq}`)
  expect((await harness.get('/v1/audit')).status).toBe(403)
})
