import { generateKeyPairSync } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { run } from '../../src/cli/main.ts'
import { type FakeIoOptions, fakeIo } from './fake-io.ts'
import { type FakeService, fakeService } from './fake-service.ts'
import { report, signedReport, signingKey } from './report-samples.ts'
import { operatorToken, rotationAt } from './samples.ts'

let service: FakeService

beforeEach(async () => {
  service = await fakeService()
})
afterEach(async () => {
  await service.close()
})

async function keyturn(line: string, options: FakeIoOptions = {}) {
  const env = { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken, ...options.env }
  const io = fakeIo({ ...options, env })
  const code = await run(line.split(' '), io)
  return { code, out: io.out(), err: io.err(), io }
}

const asked = (): readonly string[] => service.asked.map(({ path }) => path)
const reportPath = '/v1/credentials/openai/rotations/r/report'

describe('keyturn report', () => {
  it('tells the latest rotation to people, and how to get it signed', async () => {
    const { code, out } = await keyturn('report openai')
    expect(code).toBe(0)
    expect(out).toContain('Report on a rotation of openai')
    expect(out).toContain(report.summary)
    expect(out).toContain('not signed. The signed document: keyturn report openai --output report.json')
    expect(asked()).toContain(reportPath)
  })

  it('gives the signed document with --json', async () => {
    const { code, out } = await keyturn('report openai --json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toEqual(signedReport())
  })

  it('writes it into a new file, which can be verified as it is', async () => {
    const written = await keyturn('report openai --output report.json')
    expect([written.code, written.out]).toEqual([
      0,
      "wrote /srv/app/report.json\n  check it with 'keyturn report verify report.json'\n",
    ])
    const file = written.io.files.get('/srv/app/report.json') ?? ''
    const files = { '/srv/app/report.json': file, '/srv/app/key.pub': signingKey.pem }
    expect((await keyturn('report verify report.json --key key.pub', { files })).code).toBe(0)
    const again = await keyturn('report openai --output report.json', { files })
    expect([again.code, again.io.files.get('/srv/app/report.json')]).toEqual([1, file])
    expect(again.err).toContain('there is a file /srv/app/report.json already')
  })

  it('finds an earlier rotation by the beginning of its id', async () => {
    service.rotations = [rotationAt('done', { id: 'newest' }), rotationAt('done')]
    expect((await keyturn('report openai r')).code).toBe(0)
    expect(asked()).toContain(reportPath)
    service.rotations = ['ra', 'rb'].map((id) => rotationAt('done', { id }))
    const several = await keyturn('report openai r')
    expect([several.code, several.err]).toEqual([
      1,
      expect.stringContaining('more than one rotation begins like that'),
    ])
    const none = await keyturn('report openai x')
    expect([none.code, none.err]).toEqual([1, expect.stringContaining('The latest are: ra, rb.')])
  })

  it('says what to do where nothing was ever turned', async () => {
    service.rotations = []
    const { code, err } = await keyturn('report openai')
    expect(code).toBe(1)
    expect(err).toContain('no rotation of openai is on record')
    expect(err).toContain('keyturn rotate openai')
  })

  it('tells of a key that no rotation replaced', async () => {
    const { code, out } = await keyturn('report openai --retirement v-old')
    expect(code).toBe(0)
    expect(out).toContain('Report on a retirement of openai')
    expect(out).toContain('keyturn report openai --retirement v-old --output report.json')
    expect((await keyturn('report openai r --retirement v-old')).code).toBe(2)
  })
})

describe('keyturn report key', () => {
  it('prints the public key alone, and its id beside it', async () => {
    const { code, out, err } = await keyturn('report key')
    expect([code, out, err]).toEqual([0, signingKey.pem, `key id ${signingKey.keyId}\n`])
    const json = await keyturn('report key --json')
    expect(JSON.parse(json.out)).toEqual(signingKey)
  })
})

describe('keyturn report verify', () => {
  const files = {
    '/srv/app/report.json': `${JSON.stringify(signedReport())}\n`,
    '/srv/app/key.pub': signingKey.pem,
  }
  const verify = (more: string, options: FakeIoOptions = {}) =>
    // No service runs where an auditor sits.
    keyturn(`report verify report.json${more}`, {
      files,
      ...options,
      env: { KEYTURN_URL: 'http://127.0.0.1:1' },
    })

  it('says in a sentence who signed it and when, with a key that came another way', async () => {
    for (const how of ['--key key.pub', `--key-id ${signingKey.keyId}`]) {
      const { code, out, err } = await verify(` ${how}`)
      expect([code, err]).toEqual([0, ''])
      expect(out).toContain(`signed by installation inst1 on ${report.issuedAt}, unchanged\n`)
      expect(out).toContain(signingKey.keyId)
      expect(out).toContain(report.summary)
    }
    expect(service.asked).toEqual([])
  })

  it('needs no key beside the installation itself', async () => {
    const { code, out } = await verify('', {
      files: { ...files, '/srv/app/.keyturn/signing-key.pub': signingKey.pem },
    })
    expect(code).toBe(0)
    expect(out).toContain('trusted because of /srv/app/.keyturn/signing-key.pub')
  })

  it('gives what was signed, as data and as text', async () => {
    const json = await verify(' --key key.pub --json')
    expect(JSON.parse(json.out)).toEqual({ isValid: true, keyId: signingKey.keyId, report })
    expect((await verify(' --key key.pub --show')).out).toContain('Report on a rotation of openai')
  })

  it('says when it was not final', async () => {
    const open = signedReport({ isFinal: false, open: ['the old key is draining'] })
    const { out } = await verify(' --key key.pub', {
      files: { ...files, '/srv/app/report.json': JSON.stringify(open) },
    })
    expect(out).toContain('not final when it was signed: the old key is draining')
  })

  it('takes no key on the word of the document alone', async () => {
    const { code, out, err } = await verify('')
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain(
      `signed with the key ${signingKey.keyId}, which came with the document and is not known here`,
    )
    expect(err).toContain('keyturn report key')
    const json = await verify(' --json')
    expect(JSON.parse(json.err)).toMatchObject({ error: { code: 'signing_key_unknown' } })
  })

  it.each([
    [
      'one byte of it was changed',
      { 'report.json': JSON.stringify(signedReport()).replace('"payload":"e', '"payload":"f') },
    ],
    ['it is no report', { 'report.json': 'hello' }],
    ['it is the text for people', { 'report.json': 'Report on a rotation of openai' }],
  ])('ends with 1 where %s', async (_what, change) => {
    const text = Object.values(change)[0] ?? ''
    const { code, err } = await verify(' --key key.pub', {
      files: { ...files, '/srv/app/report.json': text },
    })
    expect(code).toBe(1)
    expect(err).toContain('this is no report as it was signed')
  })

  it('ends with 1 where another key has signed it', async () => {
    const other = String(generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }))
    const { code, err } = await verify(' --key key.pub', { files: { ...files, '/srv/app/key.pub': other } })
    expect(code).toBe(1)
    expect(err).toContain(`signed with the key ${signingKey.keyId}, and not with`)
  })

  it.each([
    [' --key nowhere.pub', 2, 'there is no file nowhere.pub'],
    [' --key report.json', 1, 'holds no public key of Ed25519'],
    [` --key key.pub --key-id ${signingKey.keyId}`, 2, 'exclude each other'],
  ])('says what is wrong with%s', async (more, code, says) => {
    const ended = await verify(more)
    expect([ended.code, ended.err]).toEqual([code, expect.stringContaining(says)])
  })

  it('says when there is no such file', async () => {
    const { code, err } = await keyturn('report verify nothing.json')
    expect([code, err]).toEqual([2, expect.stringContaining('there is no file nothing.json')])
  })
})
