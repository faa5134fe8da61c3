import { describe, expect, it, onTestFinished } from 'vitest'
import { run } from '../../src/cli/main.ts'
import { type FakeIoOptions, fakeIo } from './fake-io.ts'
import { type FakeService, fakeService } from './fake-service.ts'
import { apiKey, canary, operatorToken } from './samples.ts'

async function keyturn(args: readonly string[], options: FakeIoOptions & { service?: FakeService } = {}) {
  const { service } = options
  const found = service === undefined ? {} : { KEYTURN_URL: service.url }
  const io = fakeIo({ ...options, env: { ...found, KEYTURN_OPERATOR_TOKEN: operatorToken, ...options.env } })
  const code = await run(args, io)
  return { code, out: io.out(), err: io.err(), io }
}

async function started(listen?: string): Promise<FakeService> {
  const service = await fakeService(listen)
  onTestFinished(() => service.close())
  return service
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${canary}`), { code, path })
}

describe('files and folders that cannot be used', () => {
  it.each([
    ['EACCES', /\/srv\/app\/key\.txt cannot be read or written by this user \(EACCES\)\nfix: {3}Run it as/],
    ['EISDIR', /is a folder, and a file is needed \(EISDIR\)\nfix: {3}Name a file/],
    ['EROFS', /only read \(EROFS\)\nfix: /],
    ['EWEIRD', /^error: keyturn bring failed: EWEIRD\nfix: {3}This should not happen/],
  ])('%s is told with the path and what to do', async (code, says) => {
    const readFile = (path: string): string => {
      throw systemError(code, path)
    }
    const io = { ...fakeIo({}), readFile }
    expect(await run(['bring', 'openai', '--file', 'key.txt'], io)).toBe(1)
    expect(io.err()).toMatch(says)
    expect(io.err()).not.toContain(canary)
  })

  it('the same as JSON has a code', async () => {
    const writeNewFile = (path: string): boolean => {
      throw systemError('ENOSPC', path)
    }
    const io = { ...fakeIo({}), writeNewFile }
    expect(await run(['init', '--json'], io)).toBe(1)
    expect(JSON.parse(io.err())).toMatchObject({
      error: { code: 'file_unusable', message: expect.stringContaining('/srv/app/keyturn.yaml') },
    })
  })

  it('keyturn sandbox ends where its keys cannot be written', async () => {
    const writePrivateFile = (path: string): void => {
      throw systemError('EACCES', path)
    }
    const io = { ...fakeIo({}), writePrivateFile }
    expect(await run(['sandbox', '--listen', '127.0.0.1:0'], io)).toBe(1)
    expect(io.err()).toMatch(/sandbox\.admin-key cannot be read or written/)
  })
})

describe('a name that is not there', () => {
  it.each([['get'], ['verify'], ['versions'], ['rotate'], ['rollback'], ['status'], ['pause']])(
    'keyturn %s opnai guesses what was meant and lists what there is',
    async (command) => {
      const service = await started()
      const act = { get: '', verify: 'verifications', versions: 'versions', rotate: 'rotations' }
      const rest =
        Object.entries({ ...act, rollback: 'rollbacks' }).find(([name]) => name === command)?.[1] ?? ''
      const route = `/v1/credentials/opnai${rest === '' ? '' : `/${rest}`}`
      for (const method of ['GET', 'POST']) {
        service.refuse(
          `${method} ${route}`,
          404,
          'not_found',
          'There is no such credential.',
          'GET /v1 lists.',
        )
      }
      expect(await keyturn([command, 'opnai'], { service })).toMatchObject({
        code: 1,
        err: "error: there is no credential named 'opnai'\nfix:   Did you mean openai? There are: openai.\n",
      })
    },
  )

  it('leaves the refusal of a version as it is', async () => {
    const service = await started()
    service.refuse(
      'POST /v1/credentials/openai/rollbacks',
      404,
      'not_found',
      'No such version.',
      'List them.',
    )
    const { err } = await keyturn(['rollback', 'openai', '--to', 'zz'], { service })
    expect(err).toBe('error: No such version.\nfix:   List them.\n')
  })

  it('a token for a credential that is not configured is made, with a warning', async () => {
    const service = await started()
    const { code, out, err } = await keyturn(['token', 'create', 'x', '--credential', 'opnai'], { service })
    expect({ code, out }).toEqual({ code: 0, out: `kt_app_${canary}` })
    expect(err).toMatch(/warning: no credential named 'opnai' is configured; did you mean openai\?/)
  })

  it('a token that is not there is named by its id, and never shown itself', async () => {
    const service = await started()
    for (const id of ['tok_9', `kt_app_${canary}`]) {
      service.refuse(`DELETE /v1/tokens/${id}`, 404, 'not_found', 'There is no such token.')
      const { code, err } = await keyturn(['token', 'revoke', id], { service })
      expect(code).toBe(1)
      expect(err).toMatch(/no token with the id[\s\S]*keyturn token list/)
      expect(err).not.toContain(canary)
    }
  })
})

describe('what was typed wrongly', () => {
  it('an empty argument is refused before anything is asked', async () => {
    for (const line of [
      ['status', ''],
      ['get', ' '],
      ['revoke', 'openai', ''],
      ['config', 'check', ''],
    ]) {
      const { code, err } = await keyturn(line)
      expect(code).toBe(2)
      expect(err).toMatch(/the argument '\w+' is empty/)
    }
  })

  it('so is an empty option, and an empty command', async () => {
    for (const [line, what] of [
      [['leases', 'openai', '--drop', ''], "the option '--drop' is empty"],
      [['rotate', 'openai', '--reason', ' '], "the option '--reason' is empty"],
      [['report', 'openai', '--output', ''], "the option '--output' is empty"],
      [
        ['token', 'create', 'x', '--credential', 'openai', '--credential', ''],
        "the option '--credential' is empty",
      ],
      [['report', 'verify', 'r.json', '--key-id', ''], "the option '--key-id' is empty"],
      [[''], 'the command is empty'],
      [['help', ''], 'the command is empty'],
    ] as const) {
      const { code, err } = await keyturn(line)
      expect([code, err.split('\n')[0]]).toEqual([2, `error: ${what}`])
    }
  })

  it('a key in the place of a name is refused before the service is asked', async () => {
    const service = await started()
    for (const line of [
      ['status', apiKey],
      ['get', apiKey],
      ['revoke', 'openai', apiKey],
      ['token', 'revoke', apiKey],
    ]) {
      const { code, out, err } = await keyturn(line, { service })
      expect([code, out]).toEqual([2, ''])
      expect(err).toMatch(/a key is among the arguments\nfix: .*replace that key/)
      expect(err).not.toContain(canary)
    }
    expect(service.asked).toEqual([])
  })

  it('a key among the arguments is to be replaced, since the shell keeps it', async () => {
    const { code, err } = await keyturn(['bring', 'openai', apiKey])
    expect(code).toBe(2)
    expect(err).toMatch(/stays in the history of the shell.*and replace that key/)
    expect(err).not.toContain(canary)
  })

  it('help is there as a command, too', async () => {
    expect((await keyturn(['help'])).out).toMatch(/^Usage: keyturn \[options\] \[command\]/)
    const { code, out } = await keyturn(['help', 'rotate'])
    expect(code).toBe(0)
    expect(out).toMatch(/^Usage: keyturn rotate/)
    expect((await keyturn(['--json', 'status'])).err).toMatch(/after the command/)
    expect((await keyturn(['-v'])).out).toBe('9.9.9\n')
  })

  it('a wrong confirmation says how to give the right one', async () => {
    const service = await started()
    const route = 'POST /v1/credentials/openai/versions/v-old/revocations'
    service.refuse(route, 409, 'confirmation_needed', 'It stops its apps.', 'Send confirm: "openai" with it.')
    const { code, err } = await keyturn(['revoke', 'openai', 'v-old', '--confirm', 'opnai'], { service })
    expect(code).toBe(3)
    expect(err).toMatch(/It stops its apps\.\nfix: {3}Add --confirm openai/)
  })
})

describe('finding the service and its token', () => {
  it.each(['rubbish', '7420', ':7420', '127.0.0.1:99999'])(
    'KEYTURN_LISTEN=%s is not passed over',
    async (text) => {
      const { code, err } = await keyturn(['status'], { env: { KEYTURN_LISTEN: text } })
      expect(code).toBe(1)
      expect(err).toMatch(/KEYTURN_LISTEN is no address[\s\S]*fix: {3}Set it to an address such as/)
    },
  )

  it('a refused token is named by where it came from, with the command that makes another', async () => {
    const service = await started()
    service.refuse('GET /v1/credentials', 401, 'unauthenticated', 'Not known.', 'Send `Authorization`.')
    expect((await keyturn(['status'], { service })).err).toBe(
      'error: Not known.\nfix:   The token is the one in KEYTURN_OPERATOR_TOKEN. Correct it, or make another beside the service: keyturn token create NAME --role operator --local\n',
    )
    service.refuse('GET /v1/credentials/openai', 401, 'unauthenticated', 'Not known.')
    const files = { '/srv/app/.keyturn/app.token': `kt_app_${canary}` }
    const { err } = await keyturn(['get', 'openai'], { service, files, env: { KEYTURN_OPERATOR_TOKEN: '' } })
    expect(err).toMatch(/in \/srv\/app\/\.keyturn\/app\.token\. .*--role app --local/)
    expect(err).not.toContain(canary)
  })

  it('the path of KEYTURN_URL goes before the routes, as it does for apps', async () => {
    const service = await started()
    const { code, err } = await keyturn(['status'], { env: { KEYTURN_URL: `${service.url}/keys/` } })
    expect(service.asked[0]?.path).toBe('/keys/v1/credentials')
    expect({ code, isNamed: err.includes(`${service.url}/keys answered`) }).toEqual({
      code: 1,
      isNamed: true,
    })
  })
})
