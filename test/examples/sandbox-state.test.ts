import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { type Manifest, projects } from './manifest.ts'
import { plant } from './plant.ts'
import { prepareSandbox } from './sandbox-state.ts'

type Answer = NonNullable<Manifest['sandbox']>['answers'][number]

const withState = projects().flatMap(({ name, manifest }) =>
  manifest.sandbox === undefined ? [] : [[name, manifest.sandbox.answers] as const],
)
const without = projects().filter(({ manifest }) => manifest.sandbox === undefined)

let sandbox: Sandbox | undefined
afterEach(() => sandbox?.close())

async function ask(at: Sandbox, key: string, answer: Answer): Promise<{ status: number; code?: string }> {
  const [method = '', path = ''] = answer.request.split(' ')
  const homeOf = (name: 'own' | 'other') => (name === 'own' ? at : at.other)
  const { organization, project, model } = answer
  const response = await fetch(`${at.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      ...(organization === undefined ? {} : { 'openai-organization': homeOf(organization).organization }),
      ...(project === undefined ? {} : { 'openai-project': homeOf(project).project }),
    },
    ...(model === undefined ? {} : { body: JSON.stringify({ model, input: 'Hello' }) }),
  })
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
  const text = await response.text()
  const body = (isJson ? JSON.parse(text) : {}) as { error?: { code?: string | null } }
  const code = body.error?.code
  return { status: response.status, ...(typeof code === 'string' ? { code } : {}) }
}

describe('the sandbox that a project wants', () => {
  it.each(withState)('answers for %s what its planted.json says', async (name, answers) => {
    sandbox = await startSandbox()
    const values = prepareSandbox(name, sandbox)
    for (const answer of answers) {
      const { status, code } = answer
      const got = await ask(sandbox, values[answer.key] ?? '', answer)
      expect(got).toEqual({ status, ...(code === undefined ? {} : { code }) })
    }
  })

  it('knows every key of every other project', async () => {
    sandbox = await startSandbox()
    for (const { name } of without) {
      const values = prepareSandbox(name, sandbox)
      for (const [key, value] of Object.entries(values).filter(([one]) => !one.includes(':')))
        expect([name, key, sandbox.isAlive(value)]).toEqual([name, key, true])
    }
  })

  it('makes keys that are planted', async () => {
    sandbox = await startSandbox()
    const values = prepareSandbox('wrong-organization', sandbox)
    const folder = mkdtempSync(join(tmpdir(), 'planted-'))
    const planted = await plant('wrong-organization', folder, values)
    expect(planted.values).toMatchObject({ ...values, 'organization:other': sandbox.other.organization })
    rmSync(folder, { recursive: true })
  })
})
