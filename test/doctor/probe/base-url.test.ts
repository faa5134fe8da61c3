import { describe, expect, it } from 'vitest'
import { lookAtBaseUrl } from '../../../src/doctor/probe/base-url.ts'
import { effectiveBaseUrl } from '../../../src/doctor/probe/effective-base-url.ts'
import { proxyInForce } from '../../../src/doctor/probe/proxy-settings.ts'
import { scanProject } from '../../../src/doctor/project/scan.ts'
import { projectOf } from '../context.ts'

const place = { kind: 'variable', name: 'OPENAI_BASE_URL' } as const
const look = (value: string, provider?: string) => lookAtBaseUrl({ value, place }, provider)

describe('a base URL', () => {
  it.each([
    ['https://api.openai.com/v1', 'openai'],
    ['https://api.openai.com/v1/', 'openai'],
    ['https://eu.api.openai.com/v1', 'openai'],
    ['http://127.0.0.1:8080/v1', 'loopback'],
    ['http://localhost:11434/v1', 'loopback'],
    ['http://[::1]:1/v1', 'loopback'],
    ['https://llm.example.com/v1', 'gateway'],
    ['http://litellm:4000/v1', 'gateway'],
    ['http://10.1.2.3:4000', 'gateway'],
    ['  ', 'openai'],
  ])('%s is legitimate', (value, kind) => {
    expect(look(value)).toMatchObject({ target: { kind }, finding: undefined })
  })

  it('that is not set is that of OpenAI', () => {
    expect(lookAtBaseUrl(undefined)).toMatchObject({
      target: { baseUrl: 'https://api.openai.com/v1', maySendKey: true },
      finding: undefined,
    })
  })

  it.each([
    ['https://api.openai.com', 'https://api.openai.com/v1', 'lacks the /v1'],
    ['https://eu.api.openai.com/', 'https://eu.api.openai.com/v1', 'lacks the /v1'],
    ['https://api.openai.com/v1/chat/completions', 'https://api.openai.com/v1', 'goes on after /v1'],
    ['http://api.openai.com/v1', 'https://api.openai.com/v1', 'is http'],
    ['https://api.openai.com/v2', 'https://api.openai.com/v1', 'is not the address of the API'],
  ])('%s is put right, and probed where it is right', (value, right, why) => {
    const { target, finding } = look(value)
    expect(target?.baseUrl).toBe(right)
    expect(finding).toMatchObject({ code: 'base_url_wrong', fix: `export OPENAI_BASE_URL=${right}`, place })
    expect(finding?.seen).toContain(why)
  })

  it.each([
    ['https://my-app.openai.azure.com/openai/deployments/gpt', 'Azure OpenAI'],
    ['https://api.anthropic.com/v1', 'Anthropic'],
    ['https://openrouter.ai/api/v1', 'OpenRouter'],
    ['https://generativelanguage.googleapis.com/v1beta/openai', 'Google'],
    ['https://platform.openai.com/v1', "OpenAI's site for people"],
    ['https://chatgpt.com', "OpenAI's site for people"],
    ['https://api.openai.co/v1', 'nearly api.openai.com'],
    ['https://api.opnai.com/v1', 'nearly api.openai.com'],
    ['http://gateway.example.com/v1', 'in the clear'],
    ['ftp://example.com', 'no address of HTTP'],
    ['my gateway', 'is not a URL'],
    ['rubbish', 'is not a URL'],
    ['https://ann:hunter22@llm.example.com/v1', 'a user name or a password'],
  ])('%s is wrong, and nobody is asked there', (value, why) => {
    const { target, finding } = look(value)
    expect(target).toBeUndefined()
    expect(finding?.code).toBe('base_url_wrong')
    expect(finding?.seen).toContain(why)
    expect(JSON.stringify(finding)).not.toContain('hunter22')
  })

  it.each([
    ['api.openai.com/v1', 'https://api.openai.com/v1'],
    ['llm.example.com:8443/v1', 'https://llm.example.com:8443/v1'],
    ['127.0.0.1:4000/v1', 'http://127.0.0.1:4000/v1'],
    ['localhost:11434/v1', 'http://localhost:11434/v1'],
  ])('%s lacks its scheme', (value, right) => {
    const { target, finding } = look(value)
    expect(target).toBeUndefined()
    expect(finding).toMatchObject({ code: 'base_url_wrong', fix: `export OPENAI_BASE_URL=${right}` })
    expect(finding?.seen).toContain('lacks the https:// or http:// in front')
  })

  it('of another vendor is none of our business where the key is of the same', () => {
    expect(look('https://openrouter.ai/api/v1', 'OpenRouter')).toEqual({
      target: undefined,
      finding: undefined,
    })
  })

  it('that ends in an endpoint of former years is told as that', () => {
    expect(look('https://api.openai.com/v1/engines/davinci')).toMatchObject({
      finding: { code: 'endpoint_retired' },
      target: { baseUrl: 'https://api.openai.com/v1' },
    })
  })

  it('in a file is put right in its line', () => {
    const file = { kind: 'file', path: '.env', line: 3, name: 'OPENAI_API_BASE' } as const
    const { finding } = lookAtBaseUrl({ value: 'https://api.openai.com', place: file })
    expect(finding?.fix).toBe('In .env:3 write OPENAI_API_BASE=https://api.openai.com/v1')
    const source = { kind: 'file', path: 'main.go', line: 20, name: 'BaseURL' } as const
    expect(lookAtBaseUrl({ value: 'https://api.openai.com', place: source }).finding?.fix).toBe(
      'In main.go:20 write https://api.openai.com/v1 in place of the address that is there',
    )
  })
})

describe('the proxy in force', () => {
  const target = new URL('https://api.openai.com/v1')
  const winner = (env: Record<string, string>) => proxyInForce(env, target)?.variable

  it('is that of the first variable that is set, lower case before upper case', () => {
    expect(winner({})).toBeUndefined()
    expect(winner({ HTTP_PROXY: 'http://p:1' })).toBeUndefined()
    expect(winner({ ALL_PROXY: 'http://a:1' })).toBe('ALL_PROXY')
    expect(winner({ ALL_PROXY: 'http://a:1', HTTPS_PROXY: 'http://b:1' })).toBe('HTTPS_PROXY')
    expect(winner({ HTTPS_PROXY: 'http://b:1', https_proxy: 'http://c:1' })).toBe('https_proxy')
    expect(winner({ HTTPS_PROXY: 'http://b:1', https_proxy: ' ' })).toBe('HTTPS_PROXY')
  })

  it('overrules only those that differ', () => {
    const env = { https_proxy: 'http://p:1', HTTPS_PROXY: 'http://p:1', all_proxy: 'http://q:1' }
    expect(proxyInForce(env, target)).toMatchObject({ shown: 'p:1', overruled: ['all_proxy'] })
  })

  it.each([
    ['*', true],
    ['openai.com', true],
    ['.openai.com', true],
    ['*.openai.com', true],
    ['api.openai.com:443', true],
    ['api.openai.com:8443', false],
    ['localhost,127.0.0.1 api.openai.com', true],
    ['nai.com', false],
    ['', false],
  ])('is left out by NO_PROXY=%s: %s', (list, isExempt) => {
    expect(winner({ HTTPS_PROXY: 'http://p:1', NO_PROXY: list }) === undefined).toBe(isExempt)
  })

  it('is never between this machine and itself', () => {
    const env = { HTTPS_PROXY: 'http://p:1', HTTP_PROXY: 'http://p:1' }
    expect(proxyInForce(env, new URL('https://localhost:8443/v1'))).toBeUndefined()
  })
})

describe('the base URL of the program', () => {
  const environment = { value: 'https://llm.example.com/v1', place }
  const valueIn = async (texts: Readonly<Record<string, string>>) => {
    const scan = await scanProject(projectOf(texts))
    const { setting, isInSource } = effectiveBaseUrl({ baseUrl: environment, scan })
    return [setting?.value, isInSource]
  }
  const client = (option: string) => `import OpenAI from 'openai'\nconst a = new OpenAI({ ${option} })\n`

  it('is what its clients are all given in the source, before that of the environment', async () => {
    const there = 'http://127.0.0.1:4000/v1'
    expect(await valueIn({ 'a.ts': client(`baseURL: '${there}'`) })).toEqual([there, true])
    const mixed = { 'a.ts': client(`baseURL: '${there}'`), 'b.ts': client('maxRetries: 2') }
    expect(await valueIn(mixed)).toEqual([environment.value, false])
    const two = { 'a.ts': client(`baseURL: '${there}'`), 'b.ts': client(`baseURL: '${there}/x'`) }
    expect(await valueIn(two)).toEqual([environment.value, false])
    expect(await valueIn({ 'a.ts': client('') })).toEqual([environment.value, false])
    expect(effectiveBaseUrl({ baseUrl: environment, scan: undefined }).setting).toBe(environment)
  })
})
