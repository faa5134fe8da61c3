import { describe, expect, it } from 'vitest'
import { newKey } from '../keys.ts'
import { findingsIn, nodeWithoutDotenv, python, told } from './examined.ts'

const env = { OPENAI_API_KEY: newKey() }

describe('an organisation or project under another name', () => {
  it.each([
    ['OPENAI_ORG', 'OPENAI_ORG_ID'],
    ['OPENAI_ORGANIZATION', 'OPENAI_ORG_ID'],
    ['OPENAI_ORGANIZATION_ID', 'OPENAI_ORG_ID'],
    ['OPENAI_PROJECT', 'OPENAI_PROJECT_ID'],
    ['OPENAI_PROJ_ID', 'OPENAI_PROJECT_ID'],
    ['openai_org_id', 'OPENAI_ORG_ID'],
  ])('%s', async (name, meant) => {
    const findings = await findingsIn(nodeWithoutDotenv, { ...env, [name]: 'org-abc' })
    expect(told(findings)).toEqual([`account_variable_misnamed ${name}`])
    expect(findings[0]?.fix).toContain(`export ${meant}="$${name}"`)
    expect(told(await findingsIn({ ...python, '.env': `\n${name}=org-abc\n` }, env))).toEqual([
      'account_variable_misnamed .env:2',
    ])
    expect(told(await findingsIn(nodeWithoutDotenv, { ...env, [name]: 'a', [meant]: 'b' }))).toEqual([])
  })

  it.each([
    ['LangChain reads it', { 'requirements.txt': 'langchain-openai\n' }],
    ['an old library reads it', { 'requirements.txt': 'openai==0.28.1\n' }],
    [
      'the source reads it',
      {
        'app.js':
          "import OpenAI from 'openai'\nnew OpenAI({ organization: process.env.OPENAI_ORGANIZATION })\n",
      },
    ],
    ['nobody loads the file', { '.env': 'OPENAI_ORGANIZATION=org-abc\n' }],
  ] as const)('is not told where %s', async (title, texts) => {
    const set = title === 'nobody loads the file' ? env : { ...env, OPENAI_ORGANIZATION: 'org-abc' }
    expect(told(await findingsIn(texts, set))).toEqual([])
  })
})
