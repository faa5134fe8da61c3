import { describe, expect, it } from 'vitest'
import { newKey } from '../keys.ts'
import { loader } from '../scan.ts'
import { findingsIn, node, nodeWithoutDotenv, python, told } from './examined.ts'

const key = newKey()
const file = (text: string) => `\nOPENAI_API_KEY=${text}\n`

describe('a key in the environment and another in .env', () => {
  it.each([
    ['dotenv', node],
    ['python-dotenv', python],
  ])('is told with fingerprints, and with who wins: %s', async (name, texts) => {
    const findings = await findingsIn({ ...texts, '.env': file(key) }, { OPENAI_API_KEY: newKey() })
    expect(told(findings)).toEqual(['dotenv_overridden .env:2'])
    expect(findings[0]).toMatchObject({
      severity: 'warning',
      fingerprint: expect.stringMatching(/^[0-9a-f]{12}$/),
    })
    expect(findings[0]?.seen).toMatch(/fingerprint [0-9a-f]{12}, and in \.env:2 [0-9a-f]{12}\.$/)
    expect(findings[0]?.cause).toContain(`The environment wins over the file with ${name}`)
  })

  it('fails where the one in the environment is empty', async () => {
    const [finding, ...others] = await findingsIn({ ...python, '.env': file(key) }, { OPENAI_API_KEY: '' })
    expect(others).toEqual([])
    expect(finding).toMatchObject({
      code: 'dotenv_overridden',
      severity: 'error',
      fix: expect.stringContaining('unset OPENAI_API_KEY'),
    })
  })

  it.each([
    ['they are equal', { ...node, '.env': file(`"${key}"`) }],
    ['nobody loads the file', { ...nodeWithoutDotenv, '.env': file(newKey()) }],
    ['the file has a placeholder', { ...node, '.env': file('your-key-here') }],
    ['the file has none', { ...node, '.env': file('') }],
    [
      'the loader overrides on purpose',
      {
        'app.py':
          'from dotenv import load_dotenv\nload_dotenv(override=True)\nfrom openai import OpenAI\nOpenAI()\n',
        '.env': file(newKey()),
      },
    ],
  ])('is not told where %s', async (_title, texts) => {
    expect(told(await findingsIn(texts, { OPENAI_API_KEY: key }))).toEqual([])
  })

  it('is not told where the file is for a container', async () => {
    const texts = { ...nodeWithoutDotenv, '.env': file(newKey()) }
    const loaders = [loader('docker run', 'run.sh', { path: '.env' })]
    expect(told(await findingsIn(texts, { OPENAI_API_KEY: key }, { loaders }))).toEqual([])
  })
})
