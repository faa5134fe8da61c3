import { expect, it } from 'vitest'
import { environmentOf, programEnvironment, takenOut } from '../../../src/cli/exec/environment.ts'
import { credentialOf } from '../credential.ts'

const credential = credentialOf()
const options = { variables: ['OPENAI_API_KEY'], keeps: [] }

it('a program gets the key and what belongs to it, and keeps the rest of its environment', () => {
  const own = { PATH: '/bin', OPENAI_API_KEY: 'old', OPENAI_ORG_ID: 'org-2', OPENAI_BASE_URL: 'http://x' }
  expect(programEnvironment(own, credential, options)).toEqual({
    PATH: '/bin',
    OPENAI_API_KEY: 'the-key',
    OPENAI_ORG_ID: 'org-1',
    OPENAI_BASE_URL: 'https://api.openai.com/v1',
  })
})

it('a project that the credential does not name is taken out: the key may not belong to it', () => {
  expect(programEnvironment({ OPENAI_PROJECT_ID: 'proj_x' }, credential, options)).not.toHaveProperty(
    'OPENAI_PROJECT_ID',
  )
})

it('a program gets no token of Keyturn and no admin key, but for what is named', () => {
  const own = Object.fromEntries(takenOut.map((name) => [name, 'x']))
  const given = programEnvironment(own, credential, { ...options, keeps: ['KEYTURN_TOKEN'] })
  expect(Object.keys(given).filter((name) => takenOut.some((one) => one === name))).toEqual(['KEYTURN_TOKEN'])
})

it('the key goes into the variables that are named, and into no other', () => {
  const given = programEnvironment({}, credential, { variables: ['A', 'B'], keeps: [] })
  expect(given).toMatchObject({ A: 'the-key', B: 'the-key' })
  expect(given).not.toHaveProperty('OPENAI_API_KEY')
})

it('what tells environments apart holds no key', () => {
  expect(environmentOf(credential)).not.toContain('the-key')
  expect(environmentOf({ ...credential, organization: null })).not.toBe(environmentOf(credential))
  expect(environmentOf({ ...credential, generation: 2 })).toBe(environmentOf(credential))
})
