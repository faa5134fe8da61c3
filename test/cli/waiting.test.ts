import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { run } from '../../src/cli/main.ts'
import { problem } from '../client/fake-service.ts'
import { drive, handTime, serviceForTest, turnOfLoop } from '../client/support.ts'
import { fakeIo } from './fake-io.ts'

const fileIn = (folder: string) => ['file', '--once', '--out', join(folder, 'openai.key')]
const commands: readonly (readonly [string, (folder: string) => string[]])[] = [
  ['exec', () => ['exec', '--', 'true']],
  ['file', fileIn],
]

/** A command whose time is in the hands of the test, and a service that gives no key before it is told to. */
async function waiting(args: (folder: string) => string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-waiting-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const service = await serviceForTest()
  const hand = handTime()
  const io = {
    ...fakeIo({ env: { KEYTURN_URL: service.url, KEYTURN_TOKEN: service.token } }),
    after: hand.platform.after ?? (() => () => undefined),
  }
  const begin = () => {
    let code: number | undefined
    const ended = run(args(folder), io).then((its) => (code = its))
    return { code: () => code, ended }
  }
  return { service, hand, io, begin }
}

it.each(commands)(
  '%s says once what it waits for, where, why and how long, and goes on',
  async (name, args) => {
    const { service, hand, io, begin } = await waiting(args)
    service.override = (request, response) => {
      const isAsked = request.method === 'GET'
      if (isAsked) problem(response, { status: 503, code: 'shutting_down', detail: 'It is going down.' })
      return isAsked
    }
    const { code } = begin()
    await service.request(({ method }) => method === 'GET')
    await drive(hand, () => io.err() !== '')
    const line = io.err()
    expect(line).toContain(`keyturn ${name}: waiting for a key, for 9 s more: `)
    expect(line).toContain(service.url)
    expect(line).toContain('going down')
    const asked = service.hands().length
    await drive(hand, () => service.hands().length > asked + 1)
    service.override = undefined
    await drive(hand, () => code() !== undefined)
    expect(code()).toBe(0)
    expect(io.err()).toBe(line)
  },
)

it('says so too where nobody answers at all, and nothing where the key comes soon', async () => {
  const { service, hand, io, begin } = await waiting(fileIn)
  const answers: (() => void)[] = []
  service.override = (_request, response) => {
    answers.push(() => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(service.answer()))
    })
    return true
  }
  const { ended } = begin()
  await service.until(() => answers.length === 1)
  hand.advance(999)
  await turnOfLoop()
  expect(io.err()).toBe('')
  hand.advance(1)
  expect(io.err()).toContain(`for 9 s more: ${service.url} has not answered yet\n`)
  answers[0]?.()
  service.override = undefined
  expect(await ended).toBe(0)
  const soon = await waiting(fileIn)
  expect(await soon.begin().ended).toBe(0)
  soon.hand.advance(5_000)
  expect(soon.io.err()).toBe('')
})
