import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Ledger } from '../../src/core/ports.ts'
import { checksum, migrations, newestMigration } from '../../src/ledger/migrations.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { ledgerSuite } from '../conformance/ledger-suite.ts'
import { eventOf, retirementOf, rotationOf, stateOf } from './states.ts'

ledgerSuite('sqlite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-ledger-'))
  const path = join(folder, 'ledger.sqlite')
  return {
    open: async (limits) => openSqliteLedger({ path, ...limits }),
    dispose: async () => rmSync(folder, { recursive: true }),
  }
})

describe('the SQLite file', () => {
  let folder: string
  let path: string
  const opened: Ledger[] = []

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'keyturn-ledger-'))
    path = join(folder, 'ledger.sqlite')
  })
  afterEach(async () => {
    for (const ledger of opened.splice(0)) await ledger.close()
    rmSync(folder, { recursive: true })
  })

  function open(at = path): Ledger {
    const ledger = openSqliteLedger({ path: at })
    opened.push(ledger)
    return ledger
  }

  async function made(): Promise<void> {
    const ledger = openSqliteLedger({ path })
    await ledger.open('openai', stateOf('openai'))
    await ledger.close()
  }

  function change(sql: string): void {
    const database = new DatabaseSync(path)
    database.exec(sql)
    database.close()
  }

  const modeOf = (file: string) => statSync(file).mode & 0o777

  describe('permissions', () => {
    it('makes the folder 0700 and every file 0600, whatever the umask', async () => {
      const before = process.umask(0)
      try {
        const inside = join(folder, 'home', 'state', 'ledger.sqlite')
        await open(inside).open('openai', stateOf('openai'))
        expect(modeOf(join(folder, 'home'))).toBe(0o700)
        expect(modeOf(join(folder, 'home', 'state'))).toBe(0o700)
        const files = readdirSync(join(folder, 'home', 'state'))
        expect(files.sort()).toEqual(['ledger.sqlite', 'ledger.sqlite-shm', 'ledger.sqlite-wal'])
        for (const file of files) expect(modeOf(join(folder, 'home', 'state', file))).toBe(0o600)
      } finally {
        process.umask(before)
      }
    })

    it('tightens a file that others may read', async () => {
      await made()
      chmodSync(path, 0o666)
      open()
      expect(modeOf(path)).toBe(0o600)
      expect(modeOf(`${path}-wal`)).toBe(0o600)
    })

    it('refuses a folder into which others may write, and leaves it as it is', () => {
      const shared = join(folder, 'shared')
      mkdirSync(shared)
      chmodSync(shared, 0o777)
      expect(() => open(join(shared, 'ledger.sqlite'))).toThrow(
        expect.objectContaining({ code: 'permissions_lax', fix: expect.stringContaining('chmod go-w') }),
      )
      expect(modeOf(shared)).toBe(0o777)
      expect(readdirSync(shared)).toEqual([])
    })
  })

  describe('damage', () => {
    const expectUntouched = (code: string, words: readonly RegExp[]) => {
      const before = readFileSync(path)
      let thrown: unknown
      try {
        open()
      } catch (error) {
        thrown = error
      }
      expect(thrown).toMatchObject({ code, fix: expect.stringMatching(/\S/) })
      for (const word of words) expect(String(thrown)).toMatch(word)
      expect(readFileSync(path).equals(before)).toBe(true)
      expect(existsSync(`${path}-wal`) && statSync(`${path}-wal`).size > 0).toBe(false)
    }

    it('refuses a newer schema, with both numbers and the fix', async () => {
      await made()
      change(`INSERT INTO migrations VALUES (${newestMigration + 3}, 'from tomorrow', 'x')`)
      expectUntouched('ledger_newer', [
        new RegExp(`schema ${newestMigration + 3}\\b`),
        new RegExp(`up to ${newestMigration}\\b`),
      ])
    })

    it('refuses a schema step that is not ours', async () => {
      await made()
      change(`UPDATE migrations SET checksum = 'other' WHERE number = 1`)
      expectUntouched('ledger_corrupt', [/schema step 1/])
    })

    it('refuses a file that is no database', () => {
      writeFileSync(path, 'dear diary, today the key was turned')
      expectUntouched('ledger_corrupt', [/ledger\.sqlite/, /not a database/])
    })

    it('refuses the database of another program', () => {
      change('CREATE TABLE recipes (name TEXT)')
      expectUntouched('ledger_corrupt', [/another program/])
    })

    it('refuses a database whose pages are overwritten', async () => {
      await made()
      const bytes = readFileSync(path)
      bytes.fill(0xa5, 100, 4_096)
      writeFileSync(path, bytes)
      expectUntouched('ledger_corrupt', [/ledger\.sqlite/])
    })

    it('takes an empty file as a new ledger', async () => {
      writeFileSync(path, '')
      expect(await open().readAll()).toEqual([])
    })

    it('says where the path leads nowhere', () => {
      writeFileSync(path, '')
      expect(() => open(join(path, 'below'))).toThrow(expect.objectContaining({ code: 'ledger_unreachable' }))
    })

    it.each([
      ['no JSON', '{"name":'],
      ['another name', JSON.stringify(stateOf('other'))],
      ['no state', '{"name":"openai","revision":1}'],
      ['a list', '[]'],
    ])(
      'names the credential whose state is %s, and still serves and claims the others',
      async (_what, text) => {
        await made()
        const database = new DatabaseSync(path)
        database.prepare('UPDATE credentials SET state = ?').run(text)
        database.close()
        const ledger = open()
        const problem = { code: 'ledger_corrupt', message: expect.stringContaining('"openai"') }
        await expect(ledger.readAll()).rejects.toMatchObject(problem)
        await expect(ledger.read('openai')).rejects.toMatchObject(problem)
        const request = { owner: 'w', now: 10, leaseMs: 10, limit: 1 }
        await expect(ledger.claim(request)).rejects.toMatchObject(problem)
        await ledger.open('sound', stateOf('sound'))
        expect((await ledger.claim(request)).map((claim) => claim.state.name)).toEqual(['sound'])
      },
    )

    it('names the credential whose event or rotation is damaged', async () => {
      const ledger = open()
      const state = await ledger.open('openai', stateOf('openai', { rotation: rotationOf('openai', 'r') }))
      const retirements = [retirementOf('t', { version: 'v' })]
      await ledger.commit({ state: { ...state, retirements }, dueAt: 0, events: [eventOf('openai', 'x')] })
      change(`UPDATE events SET body = '{}'; UPDATE rotations SET body = 'null';
        UPDATE aftermath SET body = '{"kind":"retirement"}'`)
      for (const reading of [
        ledger.events('openai', 0),
        ledger.rotations('openai'),
        ledger.rotation('openai', 'r'),
        ledger.aftermath('openai', { version: 'v' }),
      ])
        await expect(reading).rejects.toMatchObject({
          code: 'ledger_corrupt',
          message: expect.stringContaining('"openai"'),
        })
    })
  })

  it('has its migrations numbered without a gap, and records each with name and checksum', async () => {
    expect(migrations.map((migration) => migration.number)).toEqual(
      migrations.map((_migration, index) => index + 1),
    )
    await made()
    const database = new DatabaseSync(path)
    const rows = database.prepare('SELECT number, name, checksum FROM migrations ORDER BY number').all()
    expect(rows.map((row) => ({ ...row }))).toEqual(
      migrations.map((migration) => ({
        number: migration.number,
        name: migration.name,
        checksum: checksum(migration),
      })),
    )
    database.close()
  })

  it('takes over what an earlier version kept in the state alone, and steps over an entry that is damaged', async () => {
    const ledger = open()
    const walking = retirementOf('walking')
    const { endedAt: _walks, ...still } = walking
    const ended = retirementOf('ended', {
      version: 'v',
      steps: [{ at: 1, phase: 'dead', note: 'its „value“' }],
    })
    const state = await ledger.open('openai', stateOf('openai', { retirements: [still, ended] }))
    await ledger.open('damaged', stateOf('damaged'))
    await ledger.close()
    change(`DROP TABLE aftermath; DELETE FROM migrations WHERE number = 4;
      UPDATE credentials SET state = 'rubbish' WHERE name = 'damaged'`)
    const later = open()
    const kept = [{ kind: 'retirement', retirement: ended }]
    expect(await later.aftermath('openai', { version: 'v' })).toEqual(kept)
    expect(await later.aftermath('openai', { version: walking.version })).toEqual([])
    expect(await later.read('openai')).toEqual(state)
    await later.commit({ state: { ...state, retirements: [ended] }, dueAt: 0, events: [] })
    expect(await later.aftermath('openai', { version: 'v' })).toEqual(kept)
  })

  it('claims without writing the state anew, and whoever reads it has the revision and the fence of the claim', async () => {
    const ledger = open()
    await ledger.open('openai', stateOf('openai'))
    const stateText = (): unknown => {
      const database = new DatabaseSync(path)
      const row = database.prepare('SELECT state FROM credentials').get()
      database.close()
      return row?.['state']
    }
    const before = stateText()
    const [claim] = await ledger.claim({ owner: 'w', now: 10, leaseMs: 10, limit: 1 })
    expect(stateText()).toBe(before)
    for (const reader of [ledger, open()]) {
      expect(await reader.read('openai')).toEqual(claim?.state)
      expect(await reader.readAll()).toEqual([claim?.state])
    }
  })

  it('keeps every letter, and its text one byte each', async () => {
    const ledger = open()
    const state = await ledger.open('openai', stateOf('openai'))
    const rotation = { ...rotationOf('openai', 'r'), reason: 'OpenAI’s “key” 🔑, für später' }
    await ledger.commit({ state: { ...state, rotation }, dueAt: 0, events: [] })
    const database = new DatabaseSync(path)
    const text = String(database.prepare('SELECT state FROM credentials').get()?.['state'])
    database.close()
    expect(text).not.toMatch(/[\u0100-\uffff]/)
    expect(await open().rotation('openai', 'r')).toEqual(rotation)
    expect((await open().read('openai'))?.rotation).toEqual(rotation)
  })

  it('never changes a migration that was released', () => {
    expect(migrations.map(checksum)).toMatchInlineSnapshot(`
      [
        "1b8ab82f0b90e827efb0f14acce83f51be53afe1838142f8ba951166ffcfd536",
        "270c9b9f7573b30d586a480621e290af561ca6ff0e73319e85b94f415d4544af",
        "388e16c1216df0c4666fc466d99ed74a3f14f720e04f06025cfe493d6a0f3c4f",
        "ed6d2e32a1d67fc2d08af339192124e1adaecbb1330d33215387ff3ee24044bf",
      ]
    `)
  })

  it('writes through a log, and flushes it with every commit', async () => {
    const ledger = open()
    await ledger.open('openai', stateOf('openai'))
    const database = new DatabaseSync(path)
    expect(database.prepare('PRAGMA journal_mode').get()?.['journal_mode']).toBe('wal')
    database.close()
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(0)
  })

  it('keeps a ledger in memory that nobody else sees', async () => {
    const [one, two] = [open(':memory:'), open(':memory:')]
    await one.open('openai', stateOf('openai'))
    expect(await two.readAll()).toEqual([])
  })

  it('loads without a warning on the terminal', async () => {
    const source = join(import.meta.dirname, '../../src/ledger/sqlite.ts')
    const script = `const { openSqliteLedger } = await import(${JSON.stringify(source)})
      openSqliteLedger({ path: ':memory:' })
      process.emitWarning('still heard')`
    // Warnings are what it is about, whatever the environment says of them.
    const env = { PATH: process.env['PATH'] ?? '' }
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { env })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    const [exitCode] = await once(child, 'close')
    expect(exitCode).toBe(0)
    expect(errors).not.toMatch(/SQLite/)
    expect(errors).toMatch(/still heard/)
  })

  describe('with several processes', () => {
    const start = (count: number) => {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'committer.ts'), path, String(count)],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      )
      const acknowledged: number[] = []
      const lines = createInterface({ input: child.stdout })
      const ended = Promise.all([once(child, 'exit'), once(lines, 'close')])
      lines.on('line', (line) => acknowledged.push(Number(line)))
      return { child, lines, acknowledged, ended }
    }

    it('loses no acknowledged commit to kill -9, and no half of one stays', async () => {
      let reached = 0
      for (const killAfter of [1, 7, 23, 60]) {
        const run = start(1_000_000)
        run.lines.on('line', () => {
          if (run.acknowledged.length === killAfter) run.child.kill('SIGKILL')
        })
        await run.ended
        expect(run.child.signalCode).toBe('SIGKILL')
        const ledger = openSqliteLedger({ path })
        const state = await ledger.read('openai')
        const last = run.acknowledged.at(-1) ?? 0
        expect(run.acknowledged[0]).toBe(reached + 1)
        // One more than the last that was heard of may be there: it was killed between commit and word.
        expect([last, last + 1]).toContain(state?.generation)
        reached = state?.generation ?? 0
        expect(await ledger.lastEventId('openai')).toBe(reached)
        const [event] = await ledger.events('openai', reached - 1)
        expect(event?.generation).toBe(reached)
        await ledger.close()
      }
      const database = new DatabaseSync(path)
      expect({ ...database.prepare('PRAGMA integrity_check').get() }).toEqual({ integrity_check: 'ok' })
      database.close()
    })

    it('lets several processes open a new file at once and write in turns, losing nothing', async () => {
      const runs = [start(40), start(40), start(40)]
      await Promise.all(runs.map((run) => run.ended))
      const acknowledged = runs.flatMap((run) => run.acknowledged).sort((one, two) => one - two)
      expect(acknowledged).toEqual(Array.from({ length: 120 }, (_, index) => index + 1))
      const ledger = open()
      expect(await ledger.read('openai')).toMatchObject({ generation: 120, revision: 120 })
      expect(await ledger.lastEventId('openai')).toBe(120)
    })
  })
})
