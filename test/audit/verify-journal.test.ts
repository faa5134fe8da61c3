import { generateKeyPairSync } from 'node:crypto'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { createFolderHeads, createLedgerHeads, headsInLedger } from '../../src/audit/head-places.ts'
import { createHeadKeeper, headFormat, headType } from '../../src/audit/heads.ts'
import { publicJwk, thumbprint } from '../../src/audit/jwk.ts'
import { signDocument } from '../../src/audit/jws.ts'
import { chained, journalBody, type Row, readRow } from '../../src/audit/row.ts'
import { type JournalVerification, readHeads, verifyJournal } from '../../src/audit/verify-journal.ts'
import type { Ledger, LedgerDocument, SignedDocument, Signer } from '../../src/core/ports.ts'
import { createFakeDisk, type FakeDisk } from './fake-disk.ts'
import { id, manualSystem, open, read, settled } from './journal-harness.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const jwk = publicJwk(publicKey)
const keyId = thumbprint(jwk)

function signerWith(key: typeof privateKey, own = jwk): Signer {
  return {
    publicKey: async () => ({ keyId: thumbprint(own), jwk: own, pem: '' }),
    sign: async (payload, typ) => signDocument(payload, { privateKey: key, jwk: own, typ }),
  }
}

interface Written {
  readonly disk: FakeDisk
  readonly paths: readonly string[]
  readonly heads: readonly SignedDocument[]
}

/** A journal of several files, sealed now and then and at its end. */
async function written(options: {
  readonly rows: number
  readonly sealEvery: number
  readonly other?: boolean
}): Promise<Written> {
  const disk = createFakeDisk()
  const system = manualSystem()
  const { journal } = await open({ files: disk, system, segmentBytesMax: 3_000 })
  const heads: SignedDocument[] = []
  const keeper = createHeadKeeper({
    journal,
    id,
    signer: signerWith(privateKey),
    places: [{ name: 'second', put: async (head) => void heads.push(head) }],
    system,
    log: () => undefined,
  })
  for (let number = 0; number < options.rows; number += 1) {
    system.pass(1_000)
    await journal.record({ ...read(number), ...(options.other === true ? { credential: 'other' } : {}) })
    if (number % options.sealEvery === options.sealEvery - 1) await keeper.seal()
  }
  await keeper.seal()
  await settled()
  return { disk, paths: [...disk.contents.keys()], heads }
}

function verified(
  journal: Written,
  over: Partial<Parameters<typeof verifyJournal>[0]> = {},
): JournalVerification {
  const { disk, paths, heads } = journal
  return verifyJournal({ files: disk, paths, heads, keyId, ...over })
}

/** The same journal over other bytes, whole, cut into the same files. */
function withText(journal: Written, change: (text: Buffer) => Buffer): Written {
  const disk = createFakeDisk()
  const whole = Buffer.concat(journal.paths.map((path) => journal.disk.contents.get(path) ?? Buffer.alloc(0)))
  disk.write('/one/000000000000001.jsonl', change(whole))
  return { ...journal, disk, paths: ['/one/000000000000001.jsonl'] }
}

function withLines(journal: Written, change: (lines: string[]) => readonly string[]): Written {
  return withText(journal, (text) => {
    const lines = text.toString().split('\n').slice(0, -1)
    return Buffer.from(
      change(lines)
        .map((line) => `${line}\n`)
        .join(''),
    )
  })
}

function rowOf(line: string): Row {
  const read = readRow(line)
  if (read.kind !== 'row') throw new Error(read.why)
  return read.row
}

/** Of a ledger, by compare-and-swap. */
function memoryDocuments(): Pick<Ledger, 'document' | 'putDocument'> {
  const kept = new Map<string, LedgerDocument>()
  return {
    document: async (key) => kept.get(key),
    async putDocument({ key, value, revision }) {
      if ((kept.get(key)?.revision ?? 0) !== revision) return false
      kept.set(key, { value, revision: revision + 1 })
      return true
    },
  }
}

let journal: Written
let foreign: Written

beforeAll(async () => {
  journal = await written({ rows: 40, sealEvery: 10 })
  foreign = await written({ rows: 40, sealEvery: 10, other: true })
})

describe('a journal as it was written', () => {
  it('is intact, and sealed through its last row', () => {
    const found = verified(journal)
    expect(found).toMatchObject({ kind: 'intact', first: 1, isHeld: true, isUnfinished: false, journal: id })
    expect(found).toHaveProperty('sealed', (found as { last: number }).last)
    expect(journal.paths.length).toBeGreaterThan(3)
  })

  it('is intact whatever its files are called and in whatever order they are named', () => {
    expect(verified(journal, { paths: journal.paths.toReversed() })).toMatchObject({ kind: 'intact' })
  })

  it('is intact after any crash and any number of starts', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    let heads: SignedDocument[] = []
    for (let start = 0; start < 20; start += 1) {
      const { journal: one } = await open({ files: disk, system, segmentBytesMax: 2_000 })
      const keeper = createHeadKeeper({
        journal: one,
        id,
        signer: signerWith(privateKey),
        places: [{ name: 'second', put: async (head) => void (heads = [...heads, head]) }],
        system,
        log: () => undefined,
      })
      await one.record(read(start))
      await keeper.seal()
      void one.record(read(start))
      await settled()
      disk.crash((bytes) => (bytes * start) % (bytes + 1))
      const found = verifyJournal({
        files: disk,
        paths: [...disk.contents.keys()].filter((path) => path.endsWith('.jsonl')),
        heads,
        keyId,
      })
      expect(found).toMatchObject({ kind: 'intact', isHeld: true })
    }
  })

  it('is intact after old files were removed with a row that says so, and not without one', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    const options = { files: disk, system, segmentBytesMax: 2_000, keep: { ms: 86_400_000, bytes: 1e9 } }
    const { journal: one, prune } = await open(options)
    const signer = signerWith(privateKey)
    const keeper = createHeadKeeper({ journal: one, id, signer, places: [], system, log: () => undefined })
    for (let number = 0; number < 20; number += 1) await one.record(read(number))
    system.pass(2 * 86_400_000)
    await one.record(read(21))
    await prune(() => keeper.seal())
    const paths = [...disk.contents.keys()].sort()
    expect(verifyJournal({ files: disk, paths, keyId })).toMatchObject({ kind: 'intact' })
    expect(verifyJournal({ files: disk, paths: paths.slice(1), keyId })).toMatchObject({
      kind: 'broken',
      fault: { kind: 'removed', seq: 1 },
    })
  })

  it('is not held against anything without heads, and says so', () => {
    expect(verified(journal, { heads: [] })).toMatchObject({ kind: 'intact', isHeld: false })
  })
})

describe('whatever somebody does to it is found', () => {
  const found = (changed: Written, over?: Parameters<typeof verified>[1]) => {
    const result = verified(changed, over)
    expect(result).toMatchObject({ kind: 'broken' })
    return result.kind === 'broken' ? result.fault : undefined
  }
  const size = () =>
    Buffer.concat(journal.paths.map((path) => journal.disk.contents.get(path) ?? Buffer.alloc(0))).length
  const count = () =>
    withLines(journal, (lines) => lines)
      .disk.contents.get('/one/000000000000001.jsonl')
      ?.toString()
      .split('\n').length ?? 0

  it('the beginning removed, with a row behind the last head that says it was for its age', () => {
    const forged = withLines(journal, (lines) => {
      const left = lines.slice(25)
      const [first] = left
      const last = left.at(-1)
      if (first === undefined || last === undefined) return left
      const [begin, end] = [rowOf(first), rowOf(last)]
      const body = journalBody('pruned', { sink: '/audit', through: begin.seq - 1, hash: begin.prev })
      return [...left, chained({ seq: end.seq + 1, at: end.at, body, prev: end.hash }).line]
    })
    expect(found(forged)).toMatchObject({ kind: 'removed', seq: 1 })
    expect(found(forged, { heads: journal.heads.slice(-1) })).toMatchObject({ kind: 'removed', seq: 1 })
  })

  it('the end cut off before a start, though the journal goes on and is sealed again and again', async () => {
    const disk = createFakeDisk()
    const system = manualSystem()
    const ledger = memoryDocuments()
    const logs: string[] = []
    const start = async () => {
      const { journal: one } = await open({ files: disk, system })
      const keeper = createHeadKeeper({
        journal: one,
        id,
        signer: signerWith(privateKey),
        places: [createLedgerHeads(ledger, id)],
        system,
        log: (_level, message) => void logs.push(message),
      })
      return { one, keeper }
    }
    const first = await start()
    for (let number = 0; number < 10; number += 1) await first.one.record(read(number))
    await first.keeper.seal()
    const [path = ''] = disk.contents.keys()
    const lines = String(disk.contents.get(path)).split('\n').slice(0, 6)
    disk.write(path, Buffer.from(`${lines.join('\n')}\n`))
    const second = await start()
    for (let number = 0; number < 30; number += 1) {
      await second.one.record(read(number))
      await second.keeper.seal()
    }
    const heads = await headsInLedger(ledger, id)
    const result = verifyJournal({ files: disk, paths: [path], heads, keyId })
    expect(result).toMatchObject({ kind: 'broken', fault: { kind: 'changed' } })
    expect(logs.filter((line) => line.includes('it was cut off, and went on'))).toHaveLength(1)
  })

  it('the same where heads are in a folder, however many come after', async () => {
    const disk = createFakeDisk()
    const head = async (seq: number): Promise<SignedDocument> =>
      signerWith(privateKey).sign(
        JSON.stringify({ format: headFormat, journal: id, seq, hash: '', at: '' }),
        headType,
      )
    const [cutOff, later] = [await head(1_000), await head(20)]
    const line = (one: SignedDocument): string => `${JSON.stringify(one)}\n`
    const many = line(later).repeat(Math.ceil((8 * 1024 * 1024) / line(later).length))
    disk.write(`/heads/${id}.heads.jsonl`, Buffer.from(line(await head(10)) + line(cutOff) + many))
    const facts = { format: headFormat, journal: id, seq: 20, hash: '', at: '' } as const
    await createFolderHeads('/heads', id, disk).put(later, facts)
    expect(disk.contents.get(`/heads/${id}.heads.jsonl`)?.length).toBeLessThan(5 * 1024 * 1024)
    const kept = readHeads(String(disk.contents.get(`/heads/${id}.passed.heads.jsonl`)))
    expect(kept).toContainEqual(cutOff)
    expect(kept.length).toBeLessThan(20)
  })

  it('any byte changed to any other', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, by) => {
        found(
          withText(journal, (text) => {
            const index = at % text.length
            text[index] = ((text[index] ?? 0) + by) % 256
            return text
          }),
        )
      }),
      { numRuns: 300 },
    )
  })

  it('cut off at any byte', () => {
    const bytes = size()
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes - 1 }), (at) => {
        expect(found(withText(journal, (text) => text.subarray(0, at)))?.kind).toBe('cut_off')
      }),
      { numRuns: 200, examples: [[0], [bytes - 1], [bytes - 2]] },
    )
  })

  it('rows removed, moved or doubled', () => {
    const rows = count() - 1
    const at = fc.nat({ max: rows - 1 })
    fc.assert(
      fc.property(at, fc.integer({ min: 1, max: 5 }), (index, many) => {
        const fault = found(withLines(journal, (lines) => lines.toSpliced(index, many)))
        expect(['removed', 'cut_off', 'changed']).toContain(fault?.kind)
      }),
      { numRuns: 60 },
    )
    fc.assert(
      fc.property(at, at, (one, other) => {
        fc.pre(one !== other)
        found(
          withLines(journal, (lines) =>
            lines.map(
              (line, index) => (index === one ? lines[other] : index === other ? lines[one] : line) ?? '',
            ),
          ),
        )
      }),
      { numRuns: 60 },
    )
    fc.assert(
      fc.property(at, at, (one, to) => {
        expect(['reordered', 'removed']).toContain(
          found(withLines(journal, (lines) => lines.toSpliced(to, 0, lines[one] ?? '')))?.kind,
        )
      }),
      { numRuns: 60 },
    )
  })

  it('rows of another journal in place of its own', () => {
    const rows = count() - 1
    const others = withLines(foreign, (lines) => lines)
      .disk.contents.get('/one/000000000000001.jsonl')
      ?.toString()
      .split('\n')
    fc.assert(
      fc.property(fc.integer({ min: 2, max: rows - 2 }), fc.integer({ min: 1, max: 5 }), (at, many) => {
        const spliced = withLines(journal, (lines) =>
          lines.toSpliced(at, many, ...(others ?? []).slice(at, at + many)),
        )
        // What both have alike is no change.
        fc.pre(
          !spliced.disk.contents
            .get('/one/000000000000001.jsonl')
            ?.equals(
              withLines(journal, (lines) => lines).disk.contents.get('/one/000000000000001.jsonl') ??
                Buffer.alloc(0),
            ),
        )
        found(spliced)
      }),
      { numRuns: 60 },
    )
  })

  /** As somebody would who may write the file and has no key: a row changed or removed, and everything after it chained anew. */
  const rechained = (change: (bodies: string[]) => readonly string[]): Written =>
    withLines(journal, (lines) => {
      const bodies = lines.map((line) =>
        line
          .replace(/^\{"seq":\d+,"at":"[^"]+",/, '')
          .replace(/,"prev":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"\}$/, ''),
      )
      let prev = '0'.repeat(64)
      return change(bodies).map((body, index) => {
        const { line, hash } = chained({ seq: index + 1, at: '2026-11-25T21:00:00.000Z', body, prev })
        prev = hash
        return line
      })
    })

  it('all chained anew after a change, even where the heads of the second place are not at hand', () => {
    const rows = count() - 1
    fc.assert(
      fc.property(fc.nat({ max: rows - 3 }), (at) => {
        const changed = rechained((bodies) =>
          bodies.map((body, index) => (index === at ? body.replace('openai', 'mine') : body)),
        )
        found(changed)
        found(changed, { heads: [] })
      }),
      { numRuns: 30 },
    )
  })

  it('all chained anew with rows removed and the heads in it taken out, by the heads of the second place', () => {
    found(rechained((bodies) => bodies.filter((body) => !body.includes('"action":"head"'))))
  })

  it('heads by another key', () => {
    const other = generateKeyPairSync('ed25519')
    const own = publicJwk(other.publicKey)
    expect(found(journal, { keyId: thumbprint(own) })?.kind).toBe('foreign')
  })

  it('a whole file removed from the middle or the end', () => {
    for (const [index] of journal.paths.entries())
      found(journal, { paths: journal.paths.toSpliced(index, 1) })
  })

  it('says which row, in which file and line', () => {
    const [first = '', second = ''] = journal.paths
    const bytes = Buffer.from(journal.disk.contents.get(second) ?? '')
    const line = bytes.toString().split('\n')[1] ?? ''
    const seq = readRow(line).kind === 'row' ? Number(/"seq":(\d+)/.exec(line)?.[1]) : 0
    const disk = createFakeDisk()
    for (const [path, text] of journal.disk.contents) disk.write(path, text)
    disk.write(second, Buffer.from(bytes.toString().replace(`"seq":${seq},`, `"seq":${seq + 1},`)))
    expect(found({ ...journal, disk })).toMatchObject({ kind: 'changed', seq, file: second, line: 2 })
    expect(first).not.toBe(second)
  })
})
