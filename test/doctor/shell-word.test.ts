import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { shellWord } from '../../src/doctor/shell-word.ts'
import { testDoctor } from './context.ts'
import { factsOf, findingsOf } from './probe/support.ts'

const odd = [
  '$(touch x)',
  '`id`',
  "it's",
  'a b',
  'a;b',
  '-rf',
  '"',
  '\\',
  '*',
  '${IFS}',
  '~',
  '!',
  '&',
  'a\nb',
  '',
]

describe('a word of a command that is to be copied', () => {
  it.each(odd)('is to a shell what it is: %j', (text) => {
    const printed = execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' })
    expect(printed).toBe(text.startsWith('-') ? `./${text}` : text)
  })

  it('stays plain where nothing is odd', () => {
    for (const text of ['.env.local', 'api.openai.com:443', 'https://llm.example.com/v1', '[::1]:80'])
      expect(shellWord(text)).toBe(text)
  })

  it('holds the host that a stranger chose, in the fix of what was found there', async () => {
    const baseUrl = 'https://$(touch${ifs}ran).example.com/$(id)/v1'
    const [finding] = await findingsOf(factsOf({ baseUrl }), testDoctor())
    expect(finding?.fix).toContain("'")
    expect(finding?.fix.replaceAll(/'[^']*'/g, '')).not.toContain('$')
  })
})
