import { describe, expect, it } from 'vitest'
import { createRepeats, repeatWindowMs } from '../../src/audit/repeats.ts'
import { type Row, readRow } from '../../src/audit/row.ts'
import type { Batch, Sink } from '../../src/audit/sink.ts'
import { createFakeDisk, type FakeDisk, failing, type Step } from './fake-disk.ts'
import { folder, id, manualSystem, open, path, read, settled } from './journal-harness.ts'

function rowsOf(disk: FakeDisk, at: string = `${folder}/${id}`): readonly Row[] {
  return [...disk.contents]
    .filter(([name]) => name.startsWith(at) && name.endsWith('.jsonl'))
    .toSorted(([a], [b]) => a.localeCompare(b))
    .flatMap(([, bytes]) => bytes.toString().split('\n').slice(0, -1))
    .map((line) => {
      const found = readRow(line)
      if (found.kind !== 'row') throw new Error(`no row: ${line}`)
      return found.row
    })
}

/** That the numbers go on one by one and each row names the hash of the one before it. */
function expectChain(rows: readonly Row[]): void {
  for (const [index, row] of rows.entries()) {
    expect(row.seq).toBe(index + 1)
    expect(row.prev).toBe(rows[index - 1]?.hash ?? '0'.repeat(64))
  }
}

describe('the journal', () => {
  it('makes rows durable before it says so, those of one turn with one sync', async () => {
    const disk = createFakeDisk()
    const { journal } = await open({ files: disk })
    await settled()
    const before = disk.syncs
    await Promise.all(Array.from({ length: 50 }, async (_, index) => journal.record(read(index))))
    expect(disk.syncs - before).toBe(1)
    disk.crash()
    const rows = rowsOf(disk)
    expect(rows.filter(({ kind }) => kind === 'read').map(({ generation }) => generation)).toEqual(
      Array.from({ length: 50 }, (_, index) => index),
    )
    expectChain(rows)
    expect(rows[0]).toMatchObject({ kind: 'journal', action: 'begun', detail: { journal: id } })
  })

  it('gathers what comes during a sync into the next one', async () => {
    const disk = createFakeDisk()
    const { journal } = await open({ files: disk })
    await settled()
    let release = (): void => undefined
    disk.hold = new Promise((resolve) => {
      release = resolve
    })
    const before = disk.syncs
    const first = journal.record(read(1))
    await settled()
    const rest = [2, 3, 4].map((number) => journal.record(read(number)))
    await settled()
    release()
    await Promise.all([first, ...rest])
    expect(disk.syncs - before).toBe(2)
  })

  it('says nothing before the sync has ended, and refuses after the wait', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    const { journal } = await open({ files: disk, system })
    await settled()
    let release = (): void => undefined
    disk.hold = new Promise((resolve) => {
      release = resolve
    })
    let said: unknown
    journal.record(read(1))?.then(
      () => (said = 'durable'),
      (thrown: unknown) => (said = thrown),
    )
    await settled()
    system.pass(1_999)
    await settled()
    expect(said).toBeUndefined()
    system.pass(1)
    await settled()
    expect(said).toMatchObject({ code: 'audit_unavailable', retryable: true })
    release()
    await settled()
    // The row was given to the disk all the same; that its reply never left is a row too.
    expect(rowsOf(disk).at(-1)).toMatchObject({ action: 'late', detail: { from: 3, through: 3 } })
    await expect(journal.record(read(2))).resolves.toBeUndefined()
  })

  it.each<[Step, string]>([
    ['write', 'ENOSPC'],
    ['write', 'EIO'],
    ['sync', 'EIO'],
    ['sync', 'ENOSPC'],
    ['sync', 'EDQUOT'],
  ])(
    'a %s that fails with %s refuses, and afterwards goes on without a gap and without a row twice',
    async (step, code) => {
      const disk = createFakeDisk()
      const system = manualSystem()
      const { journal } = await open({ files: disk, system })
      await settled()
      disk.before = (at) => {
        if (at === step) throw failing(code)
      }
      const refused = expect(journal.record(read(1))).rejects.toMatchObject({ code: 'audit_unavailable' })
      await settled()
      for (let second = 0; second < 3; second += 1) {
        system.pass(1_000)
        await settled()
      }
      await refused
      disk.before = () => undefined
      system.pass(10_000)
      await settled()
      await journal.record(read(2))
      disk.crash()
      const rows = rowsOf(disk)
      expectChain(rows)
      expect(rows.map(({ action }) => action)).toEqual(
        expect.arrayContaining(['begun', 'opened', 'getCredential', 'late', 'getCredential']),
      )
    },
  )

  it('writes nothing more where the end of a failed write cannot be cut off', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    const { journal } = await open({ files: disk, system })
    await settled()
    disk.before = (at) => {
      if (at === 'sync' || at === 'truncate') throw failing('EIO')
    }
    const first = expect(journal.record(read(1))).rejects.toMatchObject({ code: 'audit_unavailable' })
    await settled()
    disk.before = (at) => {
      if (at === 'truncate') throw failing('EIO')
    }
    system.pass(2_000)
    await settled()
    await first
    disk.before = () => undefined
    system.pass(10_000)
    await settled()
    await journal.record(read(2))
    expectChain(rowsOf(disk))
  })

  it('goes on with the chain after a crash, whatever of the last write reached the disk', async () => {
    const whole = createFakeDisk()
    const first = await open({ files: whole })
    await Promise.all([first.journal.record(read(1)), first.journal.record(read(2))])
    const acknowledged = whole.contents.get(path())?.length ?? 0
    await first.journal.record(read(3))
    const bytes = whole.contents.get(path()) ?? Buffer.alloc(0)
    for (let length = acknowledged; length <= bytes.length; length += 1) {
      const disk = createFakeDisk()
      disk.write(path(), bytes.subarray(0, length))
      const { journal } = await open({ files: disk })
      await journal.record(read(4))
      const rows = rowsOf(disk)
      expectChain(rows)
      expect(rows.filter(({ kind }) => kind === 'read').map(({ generation }) => generation)).toEqual(
        length === bytes.length ? [1, 2, 3, 4] : [1, 2, 4],
      )
      const isTorn = length > acknowledged && length < bytes.length
      expect(rows.some(({ action }) => action === 'torn')).toBe(isTorn)
      expect([...disk.contents.keys()].some((name) => name.includes('.torn-'))).toBe(isTorn)
    }
  })

  it('begins another file when one is full, and the chain goes on in it', async () => {
    const disk = createFakeDisk()
    const { journal } = await open({ files: disk, segmentBytesMax: 2_000 })
    for (let number = 0; number < 20; number += 1) await journal.record(read(number))
    expect(disk.contents.size).toBeGreaterThan(3)
    expectChain(rowsOf(disk))
    const again = await open({ files: disk, segmentBytesMax: 2_000 })
    await again.journal.record(read(21))
    expectChain(rowsOf(disk))
  })

  it('survives a crash between the making of a file and its first row', async () => {
    const disk = createFakeDisk()
    const { journal } = await open({ files: disk })
    await journal.record(read(1))
    disk.write(path(journal.seq + 1), Buffer.alloc(0))
    const again = await open({ files: disk })
    await again.journal.record(read(2))
    expectChain(rowsOf(disk))
  })

  it('removes old files with a row that says up to where', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    const options = { files: disk, system, segmentBytesMax: 2_000, keep: { ms: 86_400_000, bytes: 1e9 } }
    const { journal, prune } = await open(options)
    for (let number = 0; number < 20; number += 1) await journal.record(read(number))
    system.pass(2 * 86_400_000)
    await journal.record(read(21))
    await prune(async () => undefined)
    const rows = rowsOf(disk)
    const pruned = rows.find(({ action }) => action === 'pruned')
    expect(pruned?.detail).toMatchObject({ through: (rows[0]?.seq ?? 0) - 1, hash: rows[0]?.prev })
    expect(rows[0]?.seq).toBeGreaterThan(10)
  })

  it('never holds what looks like a key, nor a control character', async () => {
    const disk = createFakeDisk()
    const { journal } = await open({ files: disk })
    const key = ['sk', 'proj', 'a'.repeat(60)].join('-')
    await journal.record({ ...read(1), caller: { id: '1', name: `web\n\u202e${key}`, kind: 'token' } })
    const text = String(disk.contents.get(path()))
    expect(text).not.toContain(key)
    expect(text).not.toMatch(/\u202e|\\n/)
    expect(rowsOf(disk).at(-1)?.caller?.name).toBe('web\u{FFFD}\u{FFFD}[redacted]')
  })
})

describe('reads', () => {
  it('async: are written and not waited for; acts are waited for', async () => {
    const disk = createFakeDisk()
    const { journal } = await open({ files: disk, reads: 'async' })
    expect(journal.record(read(1))).toBeUndefined()
    await journal.record({ ...read(2), kind: 'act', action: 'revokeVersion' })
    expect(rowsOf(disk).filter(({ kind }) => kind !== 'journal')).toHaveLength(2)
  })

  it('off: are no rows; refusals still are', async () => {
    const disk = createFakeDisk()
    const { journal } = await open({ files: disk, reads: 'off' })
    expect(journal.record(read(1))).toBeUndefined()
    await journal.record({ ...read(2), kind: 'refusal', outcome: 'forbidden' })
    expect(
      rowsOf(disk)
        .filter(({ kind }) => kind !== 'journal')
        .map(({ kind }) => kind),
    ).toEqual(['refusal'])
  })
})

describe('several places', () => {
  function fakeSink(isConfirming = true): Sink & { readonly batches: Batch[]; isAway: boolean } {
    const batches: Batch[] = []
    return {
      name: 'other',
      isConfirming,
      isAway: false,
      batches,
      async write(batch) {
        if (this.isAway) throw failing('ECONNREFUSED')
        batches.push(batch)
      },
      close: async () => undefined,
    }
  }

  it('one that takes the row is enough, and the other gets it later, in order', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    const other = fakeSink()
    const { journal } = await open({ files: disk, system, others: [other] })
    await settled()
    disk.before = (step) => {
      if (step === 'sync') throw failing('EIO')
    }
    for (let number = 0; number < 5; number += 1) await journal.record(read(number))
    expect(journal.status().sinks.map(({ isTaking }) => isTaking)).toEqual([false, true])
    disk.before = () => undefined
    system.pass(20_000)
    await settled()
    const rows = rowsOf(disk)
    expectChain(rows)
    expect(rows.filter(({ kind }) => kind === 'read')).toHaveLength(5)
    const sent = other.batches.map(({ text }) => text).join('')
    expect(sent).toBe([...disk.contents.values()].map(String).join(''))
  })

  it('one that confirms nothing lets no reply leave', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    const { journal } = await open({ files: disk, system, others: [fakeSink(false)] })
    await settled()
    disk.before = (step) => {
      if (step === 'sync') throw failing('EIO')
    }
    const refused = expect(journal.record(read(1))).rejects.toMatchObject({ code: 'audit_unavailable' })
    await settled()
    system.pass(2_000)
    await refused
  })

  it('a folder that lags behind at the start gets what the other has', async () => {
    const disk = createFakeDisk()
    const first = await open({ files: disk, folders: ['/a', '/b'] })
    await first.journal.record(read(1))
    await settled()
    const lagging = [...disk.contents.keys()].find((name) => name.startsWith('/b/')) ?? ''
    disk.write(lagging, Buffer.alloc(0))
    const again = await open({ files: disk, folders: ['/a', '/b'] })
    await again.journal.record(read(2))
    await settled()
    const [left, right] = ['/a', '/b'].map((at) => rowsOf(disk, at))
    expectChain(left ?? [])
    expect(right).toEqual(left)
  })

  it('a folder that cannot be opened at the start takes part when it can', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    disk.before = (_step, at) => {
      if (at.startsWith('/b')) throw failing('EACCES')
    }
    const { journal } = await open({ files: disk, system, folders: ['/a', '/b'] })
    await journal.record(read(1))
    disk.before = () => undefined
    system.pass(20_000)
    await settled()
    await journal.record(read(2))
    await settled()
    expect(rowsOf(disk, '/b')).toEqual(rowsOf(disk, '/a'))
  })
})

describe('what may come as often as somebody likes', () => {
  it('is a row at once and then a count at the end of the window', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    const { journal } = await open({ files: disk, system })
    const repeats = createRepeats(journal, system)
    const refusal = { ...read(1), kind: 'refusal' as const, outcome: 'unauthenticated' }
    await repeats.record(refusal)
    for (let times = 0; times < 1_000; times += 1) expect(repeats.record(refusal)).toBeUndefined()
    system.pass(repeatWindowMs)
    await settled()
    const rows = rowsOf(disk).filter(({ kind }) => kind === 'refusal')
    expect(rows.map(({ count }) => count)).toEqual([undefined, 1_000])
  })

  it('makes no more rows than a bounded number, however many addresses it comes from', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    const { journal } = await open({ files: disk, system })
    const repeats = createRepeats(journal, system)
    for (let number = 0; number < 5_000; number += 1)
      void repeats.record({
        ...read(1),
        kind: 'refusal',
        outcome: 'unauthenticated',
        source: `10.1.${number}`,
      })
    system.pass(repeatWindowMs)
    await settled()
    const rows = rowsOf(disk).filter(({ kind }) => kind === 'refusal')
    expect(rows).toHaveLength(1_001)
    expect(rows.at(-1)?.count).toBe(4_000)
  })
})
