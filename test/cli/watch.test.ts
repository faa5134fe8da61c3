import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RotationSummary } from '../../src/api/types.ts'
import { run } from '../../src/cli/main.ts'
import { type FakeIoOptions, fakeIo } from './fake-io.ts'
import { type FakeService, fakeService } from './fake-service.ts'
import { canary, instant, operatorToken, retirementAt, rotationAt } from './samples.ts'

let service: FakeService

beforeEach(async () => {
  service = await fakeService()
})
afterEach(async () => {
  await service.close()
})

function rotate(walk: readonly RotationSummary[], options: FakeIoOptions = {}, more: readonly string[] = []) {
  service.walk.push(...walk)
  // Waiting is cut short: what is watched for is what the service says, not how long it takes to say it.
  const io = fakeIo({ env: { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken }, ...options })
  const quick = { ...io, after: (_delayMs: number, callback: () => void) => io.after(1, callback) }
  return { io, ended: run(['rotate', 'openai', '--wait', ...more], quick) }
}

const draining = rotationAt('done', { retirement: retirementAt('draining') })
const dead = rotationAt('done', { retirement: retirementAt('dead') })

describe('rotate --wait', () => {
  it('tells each step once and ends with 0 when the old key is proven dead', async () => {
    const { io, ended } = rotate([rotationAt('minting'), rotationAt('promoting'), draining, draining, dead])
    expect(await ended).toBe(0)
    expect(io.out().split('\n')).toEqual([
      'openai: the old key is dead',
      expect.stringContaining("signed: 'keyturn report openai r'"),
      '',
    ])
    const lines = io.err().trim().split('\n')
    expect(lines.filter((line) => line.includes('minting began'))).toHaveLength(1)
    expect(lines.at(-1)).toContain('dead began')
    expect(io.err()).not.toContain('\u001b')
  })

  it('says once, without a terminal, what the old key waits for', async () => {
    const heldBy = `a blackout until ${instant(7_200)}`
    const held = rotationAt('done', { retirement: retirementAt('draining', { heldBy }) })
    const { io, ended } = rotate([draining, held, held, held, dead])
    expect(await ended).toBe(0)
    const told = io
      .err()
      .split('\n')
      .filter((line) => line.includes('blackout'))
    expect(told).toEqual([expect.stringContaining(`the old one stays for now: ${heldBy}.`)])
    expect(told[0]).toMatch(/'keyturn status openai'$/)
  })

  it('says how an app is forgotten that has ended without a word', async () => {
    const retirement = retirementAt('draining', { heldBy: 'still in use by web (pod-1)' })
    const { io, ended } = rotate([draining, rotationAt('done', { retirement }), dead])
    expect(await ended).toBe(0)
    expect(io.err()).toContain(
      "the old one stays for now: still in use by web (pod-1). Waiting goes on; see 'keyturn status openai'; who has ended is forgotten with 'keyturn leases openai --drop INSTANCE'",
    )
  })

  it('says what happened where the ledger does not know the rotation any more', async () => {
    const { io, ended } = rotate([rotationAt('minting')])
    await io.seen('minting began')
    service.refuse('GET /v1/credentials/openai/rotations/r', 404, 'not_found', 'openai has no such rotation.')
    expect(await ended).toBe(1)
    expect(io.err()).toMatch(/the ledger does not know rotation r of openai any more/)
    expect(io.err()).toMatch(/keyturn status openai/)
    expect(io.err()).not.toMatch(/goes on all the same/)
  })

  it('draws over what it drew for a person', async () => {
    const { io, ended } = rotate([rotationAt('minting'), dead], { isTerminal: true })
    expect(await ended).toBe(0)
    expect(io.err()).toContain('\u001b[0J')
    expect(io.err()).toContain('✓')
  })

  it('prints the last summary as JSON', async () => {
    const { io, ended } = rotate([rotationAt('minting'), dead], {}, ['--json'])
    expect(await ended).toBe(0)
    expect(JSON.parse(io.out())).toMatchObject({ id: 'r', retirement: { phase: 'dead' } })
  })

  it('ends with 3, cause and fix when it halts', async () => {
    const halt = {
      from: 'minting',
      reason: 'x',
      summary: 'The issuer refused.',
      fix: 'Grant the scope.',
      at: instant(9),
    }
    const { io, ended } = rotate([rotationAt('minting'), rotationAt('minting', { phase: 'halted', halt })])
    expect(await ended).toBe(3)
    expect(io.err()).toMatch(/error: openai: The issuer refused\.\nfix: {3}Grant the scope\.\n$/)
  })

  it('ends with 1 when it was aborted', async () => {
    expect(await rotate([rotationAt('done', { outcome: 'aborted' })]).ended).toBe(1)
  })

  it('ends when there was no old key to retire', async () => {
    const { io, ended } = rotate([rotationAt('done', { from: null })])
    expect(await ended).toBe(0)
    expect(io.out()).toMatch(/the new key is handed out/)
  })

  it('waits a little for a retirement that was not there yet', async () => {
    const { ended, io } = rotate([rotationAt('done'), rotationAt('done'), draining, dead])
    expect(await ended).toBe(0)
    expect(io.out()).toMatch(/the old key is dead/)
  })

  it('leaves the rotation running on Ctrl-C, and says so', async () => {
    const { io, ended } = rotate([rotationAt('minting')])
    await io.seen('minting began')
    io.signal('SIGINT')
    expect(await ended).toBe(130)
    expect(io.err()).toMatch(/The rotation goes on\./)
    expect(service.asked.some(({ path }) => path.endsWith('/abort'))).toBe(false)
  })

  it('speaks of the retirement on Ctrl-C where the rotation itself is over', async () => {
    const { io, ended } = rotate([draining])
    await io.seen('both keys live')
    io.signal('SIGINT')
    expect(await ended).toBe(130)
    expect(io.err()).toMatch(/old one's retirement goes on\..*keyturn rollback openai/)
    expect(io.err()).not.toMatch(/keyturn abort/)
  })

  it('draws over what was drawn from the first column, wherever an echoed ^C left the cursor', async () => {
    service.walk.push(rotationAt('minting'), dead)
    const io = fakeIo({
      isTerminal: true,
      env: { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken, NO_COLOR: '1' },
    })
    expect(await run(['rotate', 'openai', '--wait'], io)).toBe(0)
    const redraws = io
      .err()
      .split('\u001b[')
      .slice(0, -1)
      .filter((_, index, all) => /^\d+A$/.test(all[index + 1] ?? ''))
    expect(redraws.length).toBeGreaterThan(0)
    for (const before of redraws) expect(before.endsWith('\r')).toBe(true)
  })

  it('asks at once when an event says that something changed', async () => {
    service.walk.push(rotationAt('minting'))
    // Here nothing but an event can wake it: the timers never ring.
    const io = fakeIo({ env: { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken } })
    const ended = run(['rotate', 'openai', '--wait'], { ...io, after: () => () => undefined })
    await io.seen('minting began')
    service.walk.splice(0, 1, dead)
    await service.announce()
    expect(await ended).toBe(0)
  })

  it.each(['stopping', 'caller_unverifiable'])(
    'goes on without the stream, and through a refusal of the service for a moment: %s',
    async (code) => {
      const { io, ended } = rotate([rotationAt('minting')])
      await io.seen('minting began')
      service.dropStreams()
      service.refuse('GET /v1/credentials/openai/rotations/r', 503, code, 'Not now.')
      await io.seen('waiting for it to come back')
      service.walk.splice(0, 1, dead)
      expect(await ended).toBe(0)
      expect(io.err() + io.out()).not.toContain(canary)
    },
  )

  it('gives up when the token is no longer good', async () => {
    const { io, ended } = rotate([rotationAt('minting')])
    await io.seen('minting began')
    service.refuse('GET /v1/credentials/openai/rotations/r', 401, 'unauthenticated', 'Unknown token.')
    expect(await ended).toBe(1)
    expect(io.err()).toMatch(/Unknown token; the rotation goes on all the same/)
  })
})
