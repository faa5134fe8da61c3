import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { installationId } from '../../src/main/installation.ts'
import { VirtualTime } from '../engine/virtual-time.ts'

const logged: string[] = []
const deps = {
  system: new VirtualTime(),
  log: (_level: string, message: string) => void logged.push(message),
}

function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-installation-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, 'installation')
}

function ledger(): ReturnType<typeof openSqliteLedger> {
  const opened = openSqliteLedger({ path: ':memory:' })
  onTestFinished(() => opened.close())
  return opened
}

it('gives a lost ledger the id that it had', async () => {
  const file = place()
  const id = await installationId(ledger(), file, deps)
  expect(id).toMatch(/^[0-9a-f]{8}$/)
  expect(readFileSync(file, 'utf8')).toBe(`${id}\n`)
  expect(await installationId(ledger(), file, deps)).toBe(id)
})

it('takes the word of a ledger that is there before that of the file', async () => {
  const file = place()
  const known = ledger()
  const id = await installationId(known, file, deps)
  for (const other of ['0badcafe', 'no id', '']) {
    writeFileSync(file, other)
    expect(await installationId(known, file, deps)).toBe(id)
    expect(readFileSync(file, 'utf8')).toBe(`${id}\n`)
  }
})

it('starts all the same where the file cannot be written', async () => {
  const id = await installationId(ledger(), join(place(), 'not', 'there'), deps)
  expect(id).toMatch(/^[0-9a-f]{8}$/)
  expect(logged).toEqual(['the id of this installation could not be kept beside the ledger'])
})
