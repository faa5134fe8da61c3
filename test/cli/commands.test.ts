import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { run } from '../../src/cli/main.ts'
import { specs } from '../../src/cli/specs.ts'
import { starterNeeds, starterStores } from '../../src/cli/starter-config.ts'
import { findTarget } from '../../src/cli/target.ts'
import { type FakeIoOptions, fakeIo } from './fake-io.ts'
import { type FakeService, fakeService } from './fake-service.ts'
import { apiKey, canary, operatorToken, rotationAt, start, summaryOf, tokenSummary } from './samples.ts'

let service: FakeService

beforeEach(async () => {
  service = await fakeService()
})
afterEach(async () => {
  await service.close()
})

async function keyturn(line: string, options: FakeIoOptions = {}) {
  const io = fakeIo({
    now: () => start,
    ...options,
    env: { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken, ...options.env },
  })
  const code = await run(line === '' ? [] : line.split(' '), io)
  return { code, out: io.out(), err: io.err(), io }
}

describe('every command that asks the service', () => {
  const rows: readonly {
    readonly line: string
    readonly stdin?: string
    readonly asks: string
    readonly sends?: unknown
    readonly says: RegExp
    readonly json: object
  }[] = [
    {
      line: 'status',
      asks: 'GET /v1/credentials',
      says: /openai +valid +0123456789ab +5s ago +in 1h +minting/,
      json: { items: [{ name: 'openai' }] },
    },
    {
      line: 'status openai',
      asks: 'GET /v1/credentials',
      says: /belongs to +org-a \/ proj_a[\s\S]*> minting[\s\S]*v-curren +current/,
      json: { name: 'openai' },
    },
    {
      line: 'verify openai',
      asks: 'POST /v1/credentials/openai/verifications',
      says: /openai: valid, OpenAI accepted the key\./,
      json: { name: 'openai' },
    },
    {
      line: 'inventory',
      asks: 'GET /v1/inventory',
      says: /suspect +- +[\s\S]*sk-ab\.\.\.wxyz[\s\S]*held +openai v-curren current/,
      json: { items: [{ keyId: 'key_orphan' }, { keyId: 'key_a' }] },
    },
    {
      line: 'versions openai',
      asks: 'GET /v1/credentials/openai/versions',
      says: /VERSION +STAGE/,
      json: { items: [{ stage: 'current' }] },
    },
    {
      line: 'rotate openai --reason leak --emergency',
      asks: 'POST /v1/credentials/openai/rotations',
      sends: { mode: 'emergency', reason: 'leak' },
      says: /rotation r has started \(minting\)/,
      json: { id: 'r' },
    },
    {
      line: 'leases openai',
      asks: 'GET /v1/credentials/openai/leases',
      says: /web-2 +3 \(current is 4\) +1h ago\nbilling +web-1 +4 +5s ago/,
      json: { generation: 4, items: [{ instance: 'web-1' }, { instance: 'web-2' }] },
    },
    {
      line: 'leases openai --drop web-2',
      asks: 'DELETE /v1/credentials/openai/leases/web-2',
      says: /the lease of web-2 is dropped/,
      json: { dropped: 'web-2' },
    },
    {
      line: 'rollback openai --to v-old',
      asks: 'POST /v1/credentials/openai/rollbacks',
      sends: { to: 'v-old' },
      says: /is handed out again/,
      json: { name: 'openai' },
    },
    {
      line: 'bring openai',
      stdin: `${apiKey}\n`,
      asks: 'POST /v1/credentials/openai/versions',
      sends: { apiKey },
      says: /key 0123456789ab is in \(version v-curren, pending\)/,
      json: { stage: 'pending' },
    },
    {
      line: 'revoke openai v-old --reason old',
      asks: 'POST /v1/credentials/openai/versions/v-old/revocations',
      sends: { reason: 'old' },
      says: /is retired/,
      json: { stage: 'retired' },
    },
    {
      line: 'pause openai',
      asks: 'POST /v1/credentials/openai/rotations/r/pause',
      says: /paused in minting/,
      json: { isPaused: true },
    },
    {
      line: 'resume openai',
      asks: 'POST /v1/credentials/openai/rotations/r/resume',
      says: /rotation r is minting/,
      json: { phase: 'minting' },
    },
    {
      line: 'abort openai',
      asks: 'POST /v1/credentials/openai/rotations/r/abort',
      says: /rotation r is aborted/,
      json: { outcome: 'aborted' },
    },
    {
      line: 'token list',
      asks: 'GET /v1/tokens',
      says: /tok_1 +billing +app +read openai/,
      json: { items: [{ id: 'tok_1' }] },
    },
    {
      line: 'token revoke tok_1',
      asks: 'DELETE /v1/tokens/tok_1',
      says: /token tok_1 is revoked/,
      json: { revoked: true },
    },
  ]

  it.each(rows)('keyturn $line', async ({ line, stdin, asks, sends, says, json }) => {
    const given = stdin === undefined ? {} : { stdin }
    const text = await keyturn(line, given)
    expect(text).toMatchObject({ code: 0, err: '' })
    expect(text.out).toMatch(says)
    const request = service.asked.at(-1)
    expect(`${request?.method} ${request?.path}`).toBe(asks)
    expect(request?.authorization).toBe(`Bearer ${operatorToken}`)
    if (sends !== undefined) expect(request?.body).toEqual(sends)
    const asJson = await keyturn(`${line} --json`, given)
    expect(asJson.code).toBe(0)
    expect(JSON.parse(asJson.out)).toMatchObject(json)
    expect(text.out + text.err + asJson.out + asJson.err).not.toContain(canary)
  })

  it.each(rows)(
    'keyturn $line, refused: one line with the cause, one with the fix',
    async ({ line, stdin, asks }) => {
      service.refuse(asks, 409, 'rotation_in_progress', 'A rotation is running.', 'Wait for it.')
      const { code, out, err } = await keyturn(line, stdin === undefined ? {} : { stdin })
      expect({ code, out, err }).toEqual({
        code: 1,
        out: '',
        err: 'error: A rotation is running.\nfix:   Wait for it.\n',
      })
    },
  )

  it('starts a rotation with an idempotency key of its own', async () => {
    await keyturn('rotate openai')
    await keyturn('rotate openai')
    const starts = service.asked.filter(({ method }) => method === 'POST')
    const keys = starts.map((asked) => asked.idempotencyKey)
    expect(new Set(keys).size).toBe(2)
    expect(keys).not.toContain(undefined)
  })

  it('says what to type where the key comes from a person', async () => {
    expect((await keyturn('rotate openai')).out).toContain(
      'it waits for the key that you make: keyturn bring openai',
    )
  })
})

describe('get', () => {
  it('prints the key alone, without a line break, when it is piped', async () => {
    expect(await keyturn('get openai')).toMatchObject({ code: 0, out: apiKey, err: '' })
  })

  it('warns when the key lands on a screen', async () => {
    const { out, err } = await keyturn('get openai', { isTerminal: true })
    expect(out).toBe(`${apiKey}\n`)
    expect(err).toMatch(/on your screen/)
  })

  it('prints another field, nothing for one that is not set, everything as JSON', async () => {
    expect((await keyturn('get openai --field baseUrl')).out).toBe('https://api.openai.com/v1')
    expect((await keyturn('get openai --field project')).out).toBe('')
    expect(JSON.parse((await keyturn('get openai --json')).out)).toMatchObject({ apiKey, generation: 4 })
  })

  it('refuses a field that is not there, with the nearest', async () => {
    const { code, err } = await keyturn('get openai --field apikei')
    expect(code).toBe(2)
    expect(err).toMatch(/Did you mean 'apiKey'\?/)
  })

  it('is content with the token of an app', async () => {
    await keyturn('get openai', { env: { KEYTURN_TOKEN: 'kt_app_x' } })
    expect(service.asked[0]?.authorization).toBe('Bearer kt_app_x')
  })

  it('ends with 3 where there is no verified key', async () => {
    service.refuse('GET /v1/credentials/openai', 503, 'no_verified_key', 'No key works.', 'Bring one.')
    expect(await keyturn('get openai')).toMatchObject({ code: 3, out: '' })
  })
})

describe('exit codes tell a script what to do', () => {
  const summaries = (change: Parameters<typeof summaryOf>[1]) => {
    const io = fakeIo({
      env: { OPENAI_API_KEY: 'x' },
      main: { tick: async () => ({ credentials: [summaryOf('openai', change)] }) },
    })
    return run(['tick'], io)
  }
  const halt = { from: 'minting', reason: 'minting_refused', summary: 's', fix: 'f', at: '' }

  it('tick: 0 when all is well, 3 without a key or with something halted', async () => {
    expect(await summaries({})).toBe(0)
    expect(await summaries({ current: null })).toBe(3)
    expect(await summaries({ rotation: rotationAt('halted', { halt }) })).toBe(3)
  })

  it('2 for wrong usage, with a guess', async () => {
    for (const line of [
      'rotat',
      'rotate',
      'rotate a b',
      'rotate openai --wiat',
      'rotate openai --compromised',
      'rotate',
      'rotate openai --all',
      'rotate openai --wave 3',
      'rotate --all --wave 0',
      'rotate --all --pause soon',
      'rotate --all --since yesterday',
      'rotate --all --since 9999-01-01T00:00:00Z',
      'rotate openai --confirm openai',
      ...['rotate openai', 'rollback openai', 'revoke openai v-old', 'bring openai'].map(
        (command) => `${command} --reason ${'x'.repeat(501)}`,
      ),
      'rotate --all --match (',
      'rotate --all --emergency --compromised',
      'revoke openai',
      'token create x --role king',
      'token create x --expires soon',
      'sandbox --listen 0.0.0.0:1',
      'init --store nowhere',
      'init --project p',
      '',
    ]) {
      expect((await keyturn(line)).code, line).toBe(2)
    }
    expect((await keyturn('rotat openai')).err).toBe(
      "error: unknown command 'rotat'\nfix:   Did you mean rotate? See 'keyturn --help' or 'keyturn COMMAND --help'.\n",
    )
    for (const line of ['leases', 'leases openai --drop'])
      expect((await keyturn(line)).err, line).toMatch(
        /^error: .*missing.*\nfix: {3}As in 'keyturn leases openai'\. See 'keyturn leases --help'\.\n$/,
      )
    expect((await keyturn('token create')).err).toContain("As in 'keyturn token create ")
  })

  it('2 where the reason is too long, which is told in the words of the command line', async () => {
    const { code, err } = await keyturn(`revoke openai v-old --reason ${'x'.repeat(501)}`)
    expect(code).toBe(2)
    expect(err).toMatch(
      /^error: --reason takes at most 500 characters, and these are 501\nfix: {3}Shorten it/,
    )
    expect(service.asked).toEqual([])
  })

  it('1 where --match fits no name, which is told with those that there are', async () => {
    const { code, err } = await keyturn('rotate --all --match taem-*')
    expect(code).toBe(1)
    expect(err).toMatch(/^error: no credential matches: nothing is turned\nfix: {3}There are: openai/)
    expect(service.asked.filter(({ method }) => method !== 'GET')).toEqual([])
  })

  it('1 where not all keys could be listed, and none is not said to be there', async () => {
    service.gaps = [{ what: 'the projects', summary: 'No answer.', fix: 'Wait.' }]
    const { code, out, err } = await keyturn('inventory')
    expect([code, out, err]).toEqual([
      1,
      'No key could be listed.\n',
      'warning: the projects could not be listed: No answer. Wait.\n',
    ])
  })

  it('0 where an abort is under way, which is told', async () => {
    service.walk.push(rotationAt('reconciling'))
    const { code, out } = await keyturn('abort openai')
    expect([code, out]).toEqual([0, 'openai: rotation r is being aborted (reconciling)\n'])
  })

  it('3 where the service wants a confirmation', async () => {
    const { code, err } = await keyturn('revoke openai v-old --even-if-last')
    expect(code).toBe(3)
    expect(err).toMatch(/--confirm openai/)
    expect(service.asked.map(({ method }) => method)).toEqual(['GET'])
  })

  it('errors are JSON with --json', async () => {
    service.refuse('GET /v1/credentials', 403, 'forbidden', 'Not for you.')
    const { code, err } = await keyturn('status --json')
    expect(code).toBe(1)
    expect(JSON.parse(err)).toEqual({
      error: { code: 'forbidden', message: 'Not for you.', fix: expect.stringContaining('operator token') },
    })
  })
})

/** The bodies of what was not only asked. */
const posted = (): unknown[] =>
  service.asked.filter(({ method }) => method === 'POST').map(({ body }) => body)

describe('confirmation by typing', () => {
  it('sends the typed name, and nothing when another was typed', async () => {
    const yes = await keyturn('revoke openai v-old --even-if-last', { isTerminal: true, typed: ['openai'] })
    expect(yes.code).toBe(0)
    expect(posted()).toEqual([{ evenIfLast: true, confirm: 'openai' }])
    const no = await keyturn('revoke openai v-old --even-if-last', { isTerminal: true, typed: ['yes'] })
    expect(no.code).toBe(3)
    expect(posted()).toHaveLength(1)
    const left = await keyturn('revoke openai v-old --even-if-last', { isTerminal: true, typed: [] })
    expect([left.code, posted().length]).toEqual([130, 1])
    expect(left.err).toMatch(/\n\nNothing was done\.\n$/)
  })

  it('asks when the service does', async () => {
    const route = 'POST /v1/credentials/openai/versions/v-old/revocations'
    service.refuse(route, 409, 'confirmation_needed', 'Keyturn did not make this key.')
    const { code } = await keyturn('revoke openai v-old', { isTerminal: true, typed: ['openai'] })
    expect(code).toBe(0)
    expect(posted()).toEqual([{}, { confirm: 'openai' }])
  })

  it('of a compromised key shows first who loses what, and names every way out of it', async () => {
    const shown = await keyturn('rotate openai --emergency --compromised', {
      isTerminal: true,
      typed: ['openai'],
      now: () => start,
    })
    expect(shown.code).toBe(0)
    expect(shown.err).toMatch(/openai: who loses what/)
    expect(shown.err).toMatch(/billing +web-1 +4 +5s ago +at once/)
    expect(shown.err).toMatch(/openai-eval holds this very key, and loses it too/)
    expect(shown.err).toMatch(/no other live key/)
    expect(posted()).toEqual([{ mode: 'emergency', isCompromised: true, confirm: 'openai' }])
  })

  it('where nobody can type, --confirm says it; without it, or with another name, nothing is done', async () => {
    for (const more of ['', ' --confirm other']) {
      const { code, err } = await keyturn(`rotate openai --emergency --compromised${more}`)
      expect(code).toBe(3)
      expect(err).toMatch(/--confirm openai/)
    }
    expect(posted()).toEqual([])
    expect((await keyturn('rotate openai --emergency --compromised --confirm openai')).code).toBe(0)
    expect(posted()).toHaveLength(1)
  })

  it('who holds the key cannot be told: an emergency goes on all the same', async () => {
    service.refuse(
      'GET /v1/credentials/openai/blast-radius',
      503,
      'ledger_unreachable',
      'The ledger is away.',
    )
    const { code, err } = await keyturn('rotate openai --emergency --compromised --confirm openai')
    expect(code).toBe(0)
    expect(err).toContain('warning: who holds the key cannot be told now: The ledger is away.')
  })
})

describe('bring', () => {
  it.each([
    ['', 2, /no key was given/],
    [`Bearer ${apiKey}`, 1, /'Bearer' stands before/],
    [`"${apiKey}"`, 1, /quotes around/],
    [`OPENAI_API_KEY=${apiKey}`, 1, /variable name stands before/],
    [`${apiKey} ${apiKey}`, 1, /blanks or other characters/],
    ['x'.repeat(5_000), 2, /too long for a key/],
    ['sk-x', 1, /too short for a key/],
  ])('refuses what clings to a key, without showing it: case %#', async (stdin, code, says) => {
    const result = await keyturn('bring openai', { stdin })
    expect(result.code).toBe(code)
    expect(result.err).toMatch(says)
    expect(result.err).not.toContain(canary)
    expect(service.asked).toEqual([])
  })

  it('reads a file, and a hidden answer at a terminal', async () => {
    await keyturn('bring openai --file key.txt', { files: { '/srv/app/key.txt': `\uFEFF${apiKey}\r\n` } })
    await keyturn('bring openai', { isTerminal: true, typed: [apiKey] })
    expect(service.asked.map((asked) => asked.body)).toEqual([{ apiKey }, { apiKey }])
  })

  it.each([
    ['.env', `# mine\nexport OPENAI_API_KEY="${apiKey}"\nOTHER=1\n`],
    ['.env --variable OPENAI_KEY', `OPENAI_API_KEY=another\nOPENAI_KEY=${apiKey}\n`],
  ])('takes the key out of %s and leaves the file as it is', async (options, text) => {
    const files = { '/srv/app/.env': text }
    const { io } = await keyturn(`bring openai --env-file ${options}`, { files })
    expect(service.asked.map((asked) => asked.body)).toEqual([{ apiKey }])
    expect(io.files.get('/srv/app/.env')).toBe(text)
  })

  it.each([
    ['--env-file gone.env', /there is no file \/srv\/app\/gone\.env\nfix: {3}Correct --env-file/],
    ['--env-file .env', /\.env does not set OPENAI_API_KEY\nfix: .*--variable NAME/],
    ['--env-file .env --file key.txt', /exclude each other/],
    ['--variable OPENAI_KEY', /goes with --env-file/],
  ])('bring openai %s is told what is wrong, and the file not shown', async (options, says) => {
    const files = { '/srv/app/.env': `OPENAI_KEY=${apiKey}\n` }
    const { code, err } = await keyturn(`bring openai ${options}`, { files })
    expect(code).toBe(2)
    expect(err).toMatch(says)
    expect(err).not.toContain(canary)
    expect(service.asked).toEqual([])
  })

  it('ends with 130 where nothing is typed but Ctrl-C', async () => {
    const { code, err } = await keyturn('bring openai', { isTerminal: true, typed: [] })
    expect([code, err]).toEqual([130, 'Nothing was done.\n'])
    expect(service.asked).toEqual([])
  })

  it('takes no key as an argument', async () => {
    const { code, err } = await keyturn(`bring openai ${apiKey}`)
    expect(code).toBe(2)
    expect(err).not.toContain(canary)
  })
})

describe('two persons', () => {
  it('says what to do where a second one is needed, and ends with 3', async () => {
    const fix = "Have another operator run 'keyturn approve openai apr_1' within 15 minutes."
    service.refuse('POST /v1/credentials/openai/rotations', 409, 'approval_needed', 'It waits as apr_1.', fix)
    const { code, err } = await keyturn('rotate openai --emergency')
    expect(code).toBe(3)
    expect(err).toContain(fix)
  })

  it('shows what waits, and who asked for it', async () => {
    const { code, out } = await keyturn('approve openai')
    expect(code).toBe(0)
    expect(out).toMatch(/apr_1 +an emergency rotation, and the old key revoked.* ann .*found in a log/)
    expect(service.asked.map(({ method }) => method)).toEqual(['GET'])
  })

  it('does it when the name is given, and only what waits', async () => {
    expect((await keyturn('approve openai apr_1')).code).toBe(3)
    expect((await keyturn('approve openai apr_2 --confirm openai')).code).toBe(1)
    expect(service.asked.some(({ method }) => method === 'POST')).toBe(false)
    const { code, out } = await keyturn('approve openai apr_1 --confirm openai')
    expect([code, out]).toEqual([0, expect.stringMatching(/rotation .* has started/)])
    expect(service.asked.at(-1)?.path).toBe('/v1/credentials/openai/approvals/apr_1')
  })
})

describe('tokens', () => {
  it('prints a new token once, alone on standard output', async () => {
    const { out, err } = await keyturn('token create billing --credential openai --credential b --expires 2d')
    expect(out).toBe(`kt_app_${canary}`)
    expect(err).toMatch(/shown only now/)
    expect(service.asked[0]?.body).toEqual({
      name: 'billing',
      role: 'app',
      credentials: ['openai', 'b'],
      expiresInSeconds: 172_800,
    })
  })

  it('writes a new token into a file, which is not there yet, and prints none', async () => {
    const { out, err, io } = await keyturn('token create billing --output app.token')
    expect(io.readFile('/srv/app/app.token')).toBe(`kt_app_${canary}\n`)
    expect(out).toMatch(/^app token tok_1 for billing\n {2}written to \/srv\/app\/app\.token/)
    expect(out + err).not.toContain(canary)
    const json = await keyturn('token create billing --output app.token --json')
    expect(JSON.parse(json.out)).toMatchObject({ id: 'tok_1', path: '/srv/app/app.token' })
    expect(json.out).not.toContain(canary)

    const before = service.asked.length
    const files = { '/srv/app/app.token': 'kt_app_of_another\n' }
    const refused = await keyturn('token create billing --output app.token', { files })
    expect(refused).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/app\.token already/) })
    expect(refused.io.readFile('/srv/app/app.token')).toBe('kt_app_of_another\n')
    expect(service.asked.length).toBe(before)
  })

  it('puts the next token in the place of the one before', async () => {
    const files = { '/srv/app/app.token': 'kt_app_before\n' }
    const { out, err, io } = await keyturn('token rotate billing --output app.token', { files })
    expect(io.readFile('/srv/app/app.token')).toBe(`kt_app_${canary}\n`)
    expect(out).toMatch(/the old one ends in 1h\n {2}written to/)
    expect(out + err).not.toContain(canary)
  })

  it('makes no token for a file that cannot be written, and revokes one that nobody has', async () => {
    const fails = (path: string): never => {
      throw Object.assign(new Error('no'), { code: 'EACCES', path })
    }
    const options = {
      now: () => start,
      env: { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken },
    }
    const before = { ...fakeIo(options), assertWritable: fails }
    expect(await run(['token', 'create', 'x', '--output', 'a/b'], before)).toBe(1)
    expect(before.err()).toMatch(/could not be written: \/srv\/app\/a\/b cannot be/)
    expect(service.asked).toEqual([])

    const after = { ...fakeIo(options), writePrivateFile: fails }
    expect(await run(['token', 'rotate', 'x', '--output', 'a/b'], after)).toBe(1)
    expect(after.err()).toMatch(/the token tok_1 was revoked, since nobody has it/)
    expect(after.out() + after.err()).not.toContain(canary)
    expect(service.asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /v1/tokens/rotations',
      'DELETE /v1/tokens/tok_1',
    ])

    service.refuse('DELETE /v1/tokens/tok_1', 500, 'internal', 'no')
    const alone = { ...fakeIo(options), writePrivateFile: fails }
    expect(await run(['token', 'rotate', 'x', '--output', 'a/b'], alone)).toBe(1)
    expect(alone.err()).toMatch(/a\/b cannot be .*nobody has the token tok_1, and it could not be revoked/)
    expect(alone.err()).toContain('keyturn token revoke tok_1')
  })

  it('turns a token with an overlap, and asks for grants by name', async () => {
    const turned = await keyturn('token rotate billing --overlap 1d')
    expect(turned.out).toBe(`kt_app_${canary}`)
    await keyturn('token create audits --credential team-* --grant audit --grant operate')
    expect(
      service.asked.filter(({ method }) => method === 'POST').map(({ path, body }) => [path, body]),
    ).toEqual([
      ['/v1/tokens/rotations', { name: 'billing', overlapSeconds: 86_400 }],
      ['/v1/tokens', { name: 'audits', role: 'app', credentials: ['team-*'], grants: ['audit', 'operate'] }],
    ])
    expect((await keyturn('token create x --grant root')).code).toBe(2)
    expect((await keyturn('token create x --role operator --grant read')).code).toBe(2)
    expect((await keyturn('token rotate billing --overlap 31d')).code).toBe(2)
  })

  it('works on the token file itself with --local, without a service', async () => {
    let closed = 0
    const tokens = {
      create: async () => ({ ...tokenSummary, token: 'kt_app_local' }),
      rotate: async () => ({ ...tokenSummary, token: 'kt_app_second' }),
      list: () => [tokenSummary],
      revoke: async (id: string) => id === 'tok_1',
      close: async () => {
        closed += 1
      },
    }
    const options = { tokens, env: { KEYTURN_OPERATOR_TOKEN: undefined } }
    expect((await keyturn('token create billing --local', options)).out).toBe('kt_app_local')
    expect((await keyturn('token rotate billing --local', options)).out).toBe('kt_app_second')
    expect((await keyturn('token list --local', options)).out).toMatch(/tok_1/)
    expect((await keyturn('token revoke tok_1 --local', options)).code).toBe(0)
    expect(await keyturn('token revoke tok_2 --local', options)).toMatchObject({ code: 1 })
    // Who loses a token is looked up first.
    expect(closed).toBe(7)
    expect(service.asked).toEqual([])
  })
})

describe('finding the service', () => {
  it('says how to start it where nobody answers', async () => {
    const url = service.url
    await service.close()
    const { code, err } = await keyturn('status', { env: { KEYTURN_URL: url } })
    expect(code).toBe(1)
    expect(err).toMatch(/no Keyturn answers at .*ECONNREFUSED/)
    expect(err).toMatch(/npm start/)
    service = await fakeService()
  })

  it('takes the address of the configuration and the token of the home folder', async () => {
    const files = {
      '/srv/app/keyturn.yaml': `listen: ${new URL(service.url).host}\ncredentials: { openai: { store: { kind: local } } }\n`,
      '/srv/app/.keyturn/operator.token': 'kt_op_home\n',
    }
    const result = await keyturn('status', {
      files,
      env: { KEYTURN_URL: undefined, KEYTURN_OPERATOR_TOKEN: undefined },
    })
    expect(result).toMatchObject({ code: 0, err: '' })
    expect(service.asked[0]?.authorization).toBe('Bearer kt_op_home')
  })

  it('shows no token to an address of another machine, which the file of a folder alone names', async () => {
    const files = (listen: string) => ({
      '/srv/app/keyturn.yaml': `listen: '${listen}'\nallowPlaintext: true\ncredentials: { openai: { store: { kind: local } } }\n`,
    })
    const env = { KEYTURN_URL: undefined }
    for (const listen of ['192.0.2.8:80', 'evil.example:80', '[2001:db8::1]:80']) {
      const refused = await keyturn('status', { files: files(listen), env })
      expect(refused, listen).toMatchObject({ code: 2 })
      expect(refused.err).toContain('which is no address of this machine')
    }
    const { address } = await findTarget(fakeIo({ files: files('192.0.2.7:80') }))
    expect(address).toMatchObject({ url: new URL('http://192.0.2.7:80') })
  })

  it('speaks through a socket file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyturn-'))
    const socket = await fakeService(join(folder, 's.sock'))
    try {
      expect(await keyturn('status', { env: { KEYTURN_URL: socket.url } })).toMatchObject({
        code: 0,
        err: '',
      })
      expect(socket.asked).toHaveLength(1)
    } finally {
      await socket.close()
      rmSync(folder, { recursive: true })
    }
  })

  it('says where it looked for a token', async () => {
    const { code, err } = await keyturn('status', { env: { KEYTURN_OPERATOR_TOKEN: '' } })
    expect(code).toBe(1)
    expect(err).toMatch(/no operator token was found/)
    const broken = await keyturn('status', { env: { KEYTURN_OPERATOR_TOKEN: `${canary}\n${canary}` } })
    expect(broken.err).toMatch(/is no token/)
    expect(broken.err).not.toContain(canary)
  })

  it('does not take a stranger for the service, and repeats nothing of what it said', async () => {
    const { code, err } = await keyturn('versions nobody')
    expect(code).toBe(1)
    expect(err).toMatch(/not in Keyturn's words/)
    expect(err).not.toContain(canary)
  })

  it('names the credentials there are', async () => {
    const { code, err } = await keyturn('status opnai')
    expect(code).toBe(1)
    expect(err).toMatch(/There are: openai\./)
  })
})

describe('config check and init', () => {
  it('fails on a misspelt key and names the line', async () => {
    const files = { '/srv/app/keyturn.yaml': 'credentials:\n  openai:\n    stor: { kind: local }\n' }
    const { code, out } = await keyturn('config check', { files })
    expect(code).toBe(1)
    expect(out).toMatch(/^keyturn\.yaml:3:5: .*Did you mean 'store'\?$/m)
    const json = await keyturn('config check keyturn.yaml --json', { files })
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out)).toMatchObject({
      valid: false,
      problems: expect.arrayContaining([expect.objectContaining({ line: 3 })]),
    })
  })

  it('tells of broken YAML once for a line', async () => {
    const files = { '/srv/app/keyturn.yaml': 'credentials: }} ]] : : {{\n  openai: [\n' }
    const { code, out } = await keyturn('config check', { files })
    expect(code).toBe(1)
    const lines = out.match(/^keyturn\.yaml:\d+/gm) ?? []
    expect(lines.length).toBeGreaterThan(0)
    expect(new Set(lines).size).toBe(lines.length)
  })

  it('tells of the files that are named there at their lines, and fails where the service would not start', async () => {
    const files = {
      '/srv/app/keyturn.yaml': `tls: { cert: c.pem, key: k.pem }\ncredentials:\n  openai:\n    store: { kind: local }\n`,
    }
    const finding = { path: ['tls', 'key'], message: 'there is none', fix: 'Put it there.' }
    const fatal = { files, fileFindings: [{ ...finding, isFatal: true }] }
    expect(await keyturn('config check', fatal)).toMatchObject({
      code: 1,
      out: 'keyturn.yaml:1:26: tls.key: there is none. Put it there.\n1 problem\n',
    })
    expect(await keyturn('config check --without-files', fatal)).toMatchObject({ code: 0, err: '' })
    const passing = await keyturn('config check', { files, fileFindings: [{ ...finding, isFatal: false }] })
    expect(passing).toMatchObject({ code: 0, err: expect.stringContaining('tls.key: there is none.') })
  })

  it('names the admin key that is looked after, apart from what apps can ask for', async () => {
    const issuer = '{ kind: openai, project: p, serviceAccount: s, adminKey: { store: { kind: local } } }'
    const text = `issuers:\n  main: ${issuer}\ncredentials:\n  openai: { store: { kind: local }, issuer: main }\n`
    const files = { '/srv/app/a.yaml': text }
    const { out } = await keyturn('config check a.yaml', { files })
    expect(out).toBe('/srv/app/a.yaml is valid: openai, main-admin (internal)\n')
    const json = await keyturn('config check a.yaml --json', { files })
    expect(JSON.parse(json.out)).toMatchObject({ credentials: ['openai'], internal: ['main-admin'] })
  })

  it('is content with a valid file, and fails without one', async () => {
    const files = { '/srv/app/a.yaml': 'credentials:\n  openai:\n    store: { kind: local }\n' }
    expect(await keyturn('config check a.yaml', { files })).toMatchObject({
      code: 0,
      out: '/srv/app/a.yaml is valid: openai\n',
    })
    expect(await keyturn('config check b.yaml', { files })).toMatchObject({ code: 1, out: '' })
  })

  it.each([
    'init',
    ...starterStores
      .filter((store) => starterNeeds[store] === undefined)
      .map((store) => `init --store ${store}`),
    'init --project proj_a --service-account svc_acct_a',
    'init --store aws-secrets-manager --project proj_a --service-account svc_acct_a',
  ])('%s writes a file that is valid as it is', async (line) => {
    const { code, io, out } = await keyturn(line)
    expect(code).toBe(0)
    // What is typed before a command stays in the shell's history.
    expect(out).not.toMatch(/KEY=/)
    const files = Object.fromEntries(io.files)
    expect(await keyturn('config check', { files })).toMatchObject({ code: 0, err: '' })
  })

  it('leaves open where the vault of Azure is: nobody is asked for a key at a made-up address', async () => {
    const { code, io, out } = await keyturn('init --store azure-key-vault')
    expect(code).toBe(0)
    expect(out).toContain("write the line 'vault' in it")
    const files = Object.fromEntries(io.files)
    const checked = await keyturn('config check', { files })
    expect(checked.code).toBe(1)
    expect(checked.out).toMatch(/^keyturn\.yaml:\d+:\d+: .*vault/m)
    const path = '/srv/app/keyturn.yaml'
    const completed = { [path]: files[path]?.replace('# vault:', 'vault:') ?? '' }
    expect(await keyturn('config check', { files: completed })).toMatchObject({ code: 0 })
  })

  it.each(['init', 'init --project proj_a --service-account svc_acct_a'])(
    '%s proves and uses keys where OPENAI_BASE_URL says',
    async (line) => {
      const baseUrl = 'https://gateway.example/v1'
      const { io } = await keyturn(line, { env: { OPENAI_BASE_URL: baseUrl } })
      const files = Object.fromEntries(io.files)
      expect(files['/srv/app/keyturn.yaml']).toMatch(/^ {6}baseUrl: "https:\/\/gateway\.example\/v1"$/m)
      expect(await keyturn('config check', { files })).toMatchObject({ code: 0, err: '' })
      const refused = await keyturn(line, { env: { OPENAI_BASE_URL: 'http://gateway.example/v1' } })
      expect([refused.code, refused.io.files.size]).toEqual([2, 0])
      expect(refused.err).toMatch(/OPENAI_BASE_URL is not an address that a key may be sent to/)
    },
  )

  it('never overwrites', async () => {
    const { code, io } = await keyturn('init', { files: { '/srv/app/keyturn.yaml': 'mine' } })
    expect(code).toBe(1)
    expect(io.files.get('/srv/app/keyturn.yaml')).toBe('mine')
  })
})

describe('output', () => {
  it('escapes what could move the cursor or forge a line', async () => {
    service.refuse('GET /v1/credentials', 500, 'internal', 'bad \u001b[2J\u0007\nfix:   rm -rf\u202e')
    const { err } = await keyturn('status')
    expect(err.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u)
    expect(err).toContain('\\u001b[2J')
  })

  it('is coloured for people only, and never with NO_COLOR', async () => {
    expect((await keyturn('status', { isTerminal: true })).out).toContain('\u001b[32m')
    expect((await keyturn('status')).out).not.toContain('\u001b')
    expect((await keyturn('status', { isTerminal: true, env: { NO_COLOR: '1' } })).out).not.toContain(
      '\u001b',
    )
  })

  it.each(specs.map(({ name }) => name))(
    'keyturn %s --help has a description, an example and exit codes',
    async (name) => {
      const { code, out } = await keyturn(`${name} --help`)
      expect(code).toBe(0)
      expect(out).toMatch(/^Usage: keyturn /)
      expect(out).toMatch(/\nExamples?:\n {2}\S/)
      expect(out).toMatch(/\nExit codes:\n {2}0 /)
    },
  )

  it('prints the version', async () => {
    expect(await keyturn('--version')).toMatchObject({ code: 0, out: '9.9.9\n' })
  })
})
