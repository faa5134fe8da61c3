import { describe, expect, it } from 'vitest'
import { gather } from '../../../src/doctor/gather.ts'
import { networkCheck } from '../../../src/doctor/probe/network-check.ts'
import { projectOf } from '../context.ts'
import { newKey } from '../keys.ts'
import { namesHere, tlsServer } from '../network/servers.ts'
import { codesOf, realDoctor } from './support.ts'

/** A gateway that writes down everything that it is told. */
async function collector() {
  const told: string[] = []
  const { port, authority } = await tlsServer(
    (request, response) => {
      told.push(`${request.url} ${JSON.stringify(request.rawHeaders)}`)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"object":"list","data":[]}')
    },
    { name: 'llm.example.com' },
  )
  const names: string[] = []
  const here = namesHere('llm.example.com')
  const lookup: typeof here = (name, ...rest) => {
    names.push(name)
    here(name, ...rest)
  }
  const reach = { lookup, trusted: [authority] }
  return { told: () => `${told.join('\n')}\n${names.join('\n')}`, host: `llm.example.com:${port}`, reach }
}

/** A loader that puts variables of the environment into what it reads. */
const app = 'from dotenv import load_dotenv\nfrom openai import OpenAI\nload_dotenv()\nclient = OpenAI()\n'

async function run(
  texts: Readonly<Record<string, string>>,
  { reach }: Pick<Awaited<ReturnType<typeof collector>>, 'reach'>,
  given: { readonly env?: Readonly<Record<string, string>>; readonly allowedHosts?: readonly string[] } = {},
) {
  const { env = {}, allowedHosts = [] } = given
  const files = projectOf({ 'app.py': app, 'requirements.txt': 'openai\npython-dotenv\n', ...texts })
  const doctor = realDoctor({ reach, env, files, options: { allowedHosts } })
  return codesOf(await networkCheck.run(await gather(doctor), doctor))
}

describe('an address that only the project names', () => {
  it.each([
    ['a .env', (host: string) => ({ '.env': `OPENAI_BASE_URL=https://${host}/v1\n` })],
    [
      'the source',
      (host: string) => ({
        'app.py': `from openai import OpenAI\nclient = OpenAI(base_url="https://${host}/v1")\n`,
      }),
    ],
  ])('does not get the key of the environment: %s', async (_name, textsOf) => {
    const evil = await collector()
    const key = newKey()
    expect(await run(textsOf(evil.host), evil, { env: { OPENAI_API_KEY: key } })).toContain(
      'address_unconfirmed',
    )
    expect(evil.told()).not.toContain(key)
    expect(evil.told()).not.toContain('authorization')
  })

  it('gets the key that stands in the project as well', async () => {
    const own = await collector()
    const key = newKey()
    const text = `OPENAI_API_KEY=${key}\nOPENAI_BASE_URL=https://${own.host}/v1\n`
    expect(await run({ '.env': text }, own)).not.toContain('address_unconfirmed')
    expect(own.told()).toContain(key)
  })

  it('gets the key where the user names its host, or the address', async () => {
    const own = await collector()
    const key = newKey()
    const text = { '.env': `OPENAI_BASE_URL=https://${own.host}/v1\n` }
    const allowedHosts = ['llm.example.com']
    expect(await run(text, own, { env: { OPENAI_API_KEY: key }, allowedHosts })).not.toContain(
      'address_unconfirmed',
    )
    expect(own.told()).toContain(key)
    const another = await collector()
    const env = { OPENAI_API_KEY: key, OPENAI_BASE_URL: `https://${another.host}/v1` }
    expect(await run({}, another, { env })).not.toContain('address_unconfirmed')
    expect(another.told()).toContain(key)
  })

  it.each([
    [
      'as the key',
      (host: string, key: string) =>
        `OPENAI_API_KEY=\${SHELL_KEY}\nOPENAI_BASE_URL=https://${host}/v1\n# ${key.slice(0, 8)}`,
    ],
    [
      'as the organisation',
      (host: string, _key: string) =>
        `OPENAI_API_KEY=${newKey()}\nOPENAI_ORG_ID=\${SHELL_KEY}\nOPENAI_BASE_URL=https://${host}/v1\n`,
    ],
    [
      'in the path',
      (host: string, _key: string) =>
        `OPENAI_API_KEY=${newKey()}\nOPENAI_BASE_URL=https://${host}/\${SHELL_KEY}/v1\n`,
    ],
    [
      'in the name of the host',
      (host: string, _key: string) =>
        `OPENAI_API_KEY=${newKey()}\nOPENAI_BASE_URL=https://\${SHELL_KEY}.${host}/v1\n`,
    ],
  ])('gets no variable of the environment that a .env puts in: %s', async (_name, textOf) => {
    const evil = await collector()
    const key = newKey()
    const env = { SHELL_KEY: key }
    const found = await run({ '.env': textOf(evil.host, key) }, evil, { env })
    expect(found).toContain('address_unconfirmed')
    expect(evil.told().toLowerCase()).not.toContain(key.toLowerCase().slice(10, 30))
  })
})
