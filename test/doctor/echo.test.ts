import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { annotationsOf, jobSummaryOf } from '../../src/doctor/github.ts'
import { sarifOf } from '../../src/doctor/sarif.ts'
import { diagnose } from '../../src/main/doctor.ts'
import { createSystem } from '../../src/system.ts'
import { newKey } from './keys.ts'
import { httpServer } from './network/servers.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Everything that anybody could get to see of a look at a server that knows the key, and how it ended. */
async function shownOf(key: string, handle: Handler, given: { readonly isBillable?: boolean } = {}) {
  const port = await httpServer(handle)
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-echo-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'app.py'), 'import openai\nopenai.OpenAI().responses.create(model="gpt-5")\n')
  const steps: unknown[] = []
  const { report, bundle } = await diagnose({
    env: {
      OPENAI_API_KEY: key,
      OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
      OPENAI_ADMIN_KEY: newKey('admin'),
    },
    folder,
    version: '1.2.3',
    compare: [],
    askService: async () => undefined,
    options: {
      isOffline: false,
      isBillable: given.isBillable ?? true,
      isThorough: true,
      allowedHosts: [],
      stepTimeoutMs: 500,
    },
    onStep: (step) => void steps.push(step),
    log: (...line) => void steps.push(line),
  })
  const sarif = sarifOf(report, { hash: createSystem(), explain: () => '' })
  return {
    report,
    shown: [
      JSON.stringify([report, bundle(), steps, sarif]),
      ...annotationsOf(report),
      jobSummaryOf(report, ''),
    ].join('\n'),
  }
}

/** Runs of eight characters, but for the mark that all keys have. */
function windowsOf(key: string): readonly string[] {
  const mark = Buffer.from('OpenAI').toString('base64')
  return key
    .replace(/^sk-(?:proj-)?/, '')
    .split(mark)
    .flatMap((part) => Array.from({ length: part.length - 7 }, (_, at) => part.slice(at, at + 8)))
}

const error = (value: string) =>
  JSON.stringify({
    error: { message: `Incorrect API key provided: ${value}`, type: value, code: value, param: value },
  })

describe('a server that knows the key and says it back', () => {
  const key = newKey()
  /** Whole, its end as OpenAI shows it, and a piece that has no shape of a key. */
  const echoes = [key, `sk-proj-****${key.slice(-8)}`, key.slice(20, 36)]
  const headersOf = (echo: string) => ({
    'content-type': 'application/json',
    'x-request-id': echo,
    server: echo,
    via: echo,
    'cf-ray': echo,
    location: `https://${echo}.example/${echo}`,
    'set-cookie': `a=${echo}`,
    'retry-after': echo,
    'openai-version': echo,
    'openai-organization': echo,
    'openai-project': echo,
    'openai-processing-ms': echo,
    'x-ratelimit-limit-requests': echo,
    'x-ratelimit-remaining-requests': '0',
    'x-ratelimit-reset-requests': echo,
    'x-echo': echo,
  })
  const answers = echoes.flatMap((echo) =>
    [200, 301, 400, 401, 403, 404, 407, 429, 500, 503].map((status) => [status, echo] as const),
  )

  it.each(answers.map(([status, echo], index) => [status, index, echo] as const))(
    'is shown with no piece of it: HTTP %i (%i)',
    async (status, _index, echo) => {
      const { shown } = await shownOf(key, (request, response) => {
        const isList = (request.url ?? '').endsWith('/models')
        const body =
          status === 200
            ? JSON.stringify({
                object: isList ? 'list' : 'model',
                id: echo,
                data: [{ id: echo }, { id: 'gpt-5' }],
              })
            : error(echo)
        response.writeHead(status, headersOf(echo)).end(body)
      })
      expect(windowsOf(key).filter((piece) => shown.includes(piece))).toEqual([])
    },
  )

  it('is shown with no piece of it in a page either', async () => {
    for (const echo of echoes) {
      const { shown } = await shownOf(key, (_request, response) =>
        response.writeHead(403, { 'content-type': 'text/html' }).end(`<title>${echo}</title>${echo}`),
      )
      expect(windowsOf(key).filter((piece) => shown.includes(piece))).toEqual([])
    }
  })
})

describe('a server that plays tricks', () => {
  const key = newKey()
  const figures = ['-1', '1e309', 'NaN', '0x10', '9'.repeat(400), '\u00e9', '', '-0', '1;2']

  it.each(figures)('gives figures of its limits that are none: %j', async (figure) => {
    const { report } = await shownOf(key, (_request, response) => {
      response.writeHead(200, {
        'content-type': 'application/json',
        'x-request-id': 'req_1',
        'x-ratelimit-limit-requests': figure,
        'x-ratelimit-remaining-requests': figure,
        'x-ratelimit-reset-requests': figure,
        'x-ratelimit-limit-tokens': '100',
        'x-ratelimit-remaining-tokens': figure,
        'x-ratelimit-reset-tokens': figure,
        date: figure,
      })
      response.end('{"object":"list","data":[{"id":"gpt-5","object":"model"}]}')
    })
    expect(report.broken).toEqual([])
    expect(JSON.stringify(report.findings)).not.toMatch(/NaN|Infinity|undefined|Invalid/)
  })

  it.each([
    [
      'a body without end',
      (response: ServerResponse) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        const more = () => {
          while (response.writable && response.write(' '.repeat(65_536)));
        }
        response.on('drain', more)
        more()
      },
    ],
    [
      'one byte at a time',
      (response: ServerResponse) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        const timer = setInterval(() => response.write(' '), 20)
        response.on('close', () => clearInterval(timer))
      },
    ],
    [
      'headers without end',
      (response: ServerResponse) => {
        const timer = setInterval(() => response.socket?.write(`x-${'a'.repeat(9_000)}: b\r\n`), 1)
        response.socket?.write('HTTP/1.1 200 OK\r\n')
        response.socket?.on('close', () => clearInterval(timer))
      },
    ],
    [
      'brackets in brackets',
      (response: ServerResponse) => {
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(`{"object":"list","data":${'['.repeat(30_000)}`)
      },
    ],
  ])('is over within the time of all steps: %s', async (_name, answer) => {
    const startedAt = performance.now()
    const { report } = await shownOf(key, (_request, response) => answer(response))
    expect(performance.now() - startedAt).toBeLessThan(9_500)
    expect(report.broken).toEqual([])
  })
})
