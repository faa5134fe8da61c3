import { describe, expect, it } from 'vitest'
import { platforms } from '../../../src/doctor/environment/platforms.ts'
import { newKey } from '../keys.ts'
import { findingsIn, node, nodeWithoutDotenv, python, pythonWithoutDotenv, told } from './examined.ts'

describe('no key anywhere', () => {
  it('is told with every place that was looked at, in order', async () => {
    const [finding, ...others] = await findingsIn({
      ...node,
      '.env': 'PORT=3000\n',
      '.env.local': 'OPENAI_API_KEY=\n',
    })
    expect(others).toEqual([])
    expect(finding).toMatchObject({
      code: 'key_missing',
      severity: 'error',
      place: { name: 'OPENAI_API_KEY' },
    })
    expect(finding?.seen).toBe(
      'Looked in the environment (OPENAI_API_KEY is not set), .env (not in it), .env.local (it is empty there), the source (4 files), a keyturn.yaml (there is none).',
    )
    expect(finding?.fix).toContain('>> .env')
  })

  it('is told of an empty project, and of an empty variable', async () => {
    expect(told(await findingsIn({}))).toEqual(['key_missing OPENAI_API_KEY'])
    const [finding] = await findingsIn(pythonWithoutDotenv, { OPENAI_API_KEY: ' ' })
    expect(finding).toMatchObject({ code: 'key_missing' })
    expect(finding?.seen).toContain('OPENAI_API_KEY is empty')
    expect(finding?.fix).toContain('read -rs OPENAI_API_KEY')
  })

  it.each([
    ['in the environment', () => findingsIn(nodeWithoutDotenv, { OPENAI_API_KEY: newKey() })],
    ['in a .env that is loaded', () => findingsIn({ ...node, '.env': `OPENAI_API_KEY=${newKey()}\n` })],
    [
      'in one that Python loads',
      () => findingsIn({ ...python, '.env': `export OPENAI_API_KEY = "${newKey()}" # mine\n` }),
    ],
    [
      'a reference that is resolved elsewhere',
      () => findingsIn({ ...node, '.env': 'OPENAI_API_KEY=op://dev/openai/key\n' }),
    ],
    [
      'in a secret manager that the source asks',
      () =>
        findingsIn({
          'app.py':
            'import boto3\nfrom openai import OpenAI\nclient = OpenAI(api_key=boto3.client("secretsmanager").get_secret_value(SecretId="a")["SecretString"])\n',
        }),
    ],
  ])('is not told where there is one: %s', async (_where, run) => {
    expect(told(await run())).toEqual([])
  })
})

describe('no key on a platform', () => {
  it.each(platforms.map((platform) => [platform.title, platform] as const))('%s', async (title, platform) => {
    for (const variable of platform.variables) {
      const env = { [variable]: 'x1y2' }
      const [finding, ...others] = await findingsIn(node, env)
      expect(others).toEqual([])
      expect(finding).toMatchObject({ code: 'platform_variable_missing', fix: platform.fix })
      expect(finding?.seen).toContain(`${title} (${variable} is set)`)
      expect(told(await findingsIn(node, { ...env, OPENAI_API_KEY: newKey() }))).toEqual([])
    }
  })
})
