import { describe, expect, it } from 'vitest'
import type { CredentialSummary, VersionSummary } from '../../src/api/types.ts'
import type { Api } from '../../src/cli/api.ts'
import { createContext } from '../../src/cli/command.ts'
import { createOutput } from '../../src/cli/output.ts'
import { watchBrought } from '../../src/cli/watch-brought.ts'
import { fakeIo } from './fake-io.ts'
import { instant, rotationAt, summaryOf, versionSummary } from './samples.ts'

const brought: VersionSummary = { ...versionSummary, version: 'v-brought', stage: 'pending' }
const at = (stage: string): Partial<CredentialSummary> => ({ versions: [{ ...brought, stage }] })

/** What the service says, look by look; no time passes between them. */
async function watch(looks: readonly Partial<CredentialSummary>[]) {
  const left = [...looks]
  const io = { ...fakeIo({}), after: (_ms: number, callback: () => void) => (callback(), () => undefined) }
  const api = { summary: async () => summaryOf('openai', left.shift()) } as unknown as Api
  const context = createContext({ io, out: createOutput({ ...io, isJson: false }), args: [], values: {} })
  const code = await watchBrought(context, api, 'openai', brought)
  return { code, out: io.out(), left: left.length }
}

describe('bring --wait', () => {
  it('looks until the key is handed out', async () => {
    const { code, out, left } = await watch([at('pending'), at('pending'), at('current'), at('retired')])
    expect([code, left]).toEqual([0, 1])
    expect(out).toBe('openai: key 0123456789ab is handed out (version v-brough)\n')
  })

  it('says why its rotation halted, and what mends it', async () => {
    const halt = {
      from: 'proving',
      reason: 'r',
      summary: 'It lacks a scope.',
      fix: 'Grant it.',
      at: instant(0),
    }
    const looks = [at('pending'), { ...at('pending'), rotation: rotationAt('halted', { halt }) }]
    await expect(watch(looks)).rejects.toMatchObject({
      code: 'rotation_halted',
      message: 'openai: It lacks a scope.',
      fix: 'Grant it.',
    })
  })

  it.each([
    ['was discarded', at('retired')],
    ['is gone', { versions: [] }],
  ])('ends where the key %s', async (_what, look) => {
    await expect(watch([look])).rejects.toMatchObject({ code: 'version_not_live' })
  })
})
