import { expect, it } from 'vitest'
import { contentsOf, strayVariables, withoutKey } from '../../../src/cli/key-file/contents.ts'
import type { OpenAICredential } from '../../../src/client/types.ts'

const credential = {
  apiKey: 'the-key',
  organization: null,
  project: 'proj_1',
  baseUrl: 'https://api.openai.com/v1',
} as OpenAICredential
const elsewhere = { ...credential, baseUrl: 'http://127.0.0.1:7421/v1' }
const shape = { format: 'env', variable: 'OPENAI_API_KEY' } as const

it('a .env says where the key goes where programs would not know it, or are told something else', () => {
  expect(contentsOf(credential, '', shape)).toBe('OPENAI_API_KEY=the-key\nOPENAI_PROJECT_ID=proj_1\n')
  expect(contentsOf(elsewhere, '', shape)).toBe(
    'OPENAI_API_KEY=the-key\nOPENAI_PROJECT_ID=proj_1\nOPENAI_BASE_URL=http://127.0.0.1:7421/v1\n',
  )
  expect(contentsOf(credential, 'OPENAI_BASE_URL=https://evil.example\n', shape)).toContain(
    'OPENAI_BASE_URL=https://api.openai.com/v1\n',
  )
})

it('a .env without the key again is as it was, or nothing', () => {
  const before = 'A=1\nOPENAI_PROJECT_ID=other\n'
  const withKey = contentsOf(elsewhere, 'A=1\n', shape)
  expect(withoutKey(elsewhere, withKey, shape)).toBe('A=1\n')
  expect(withoutKey(elsewhere, contentsOf(elsewhere, '', shape), shape)).toBeUndefined()
  expect(strayVariables(credential, `OPENAI_ORG_ID=org-1\n${before}`)).toEqual(['OPENAI_ORG_ID'])
})
