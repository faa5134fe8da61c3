import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { SignedReport } from '../../src/api/types.ts'
import type { Report } from '../../src/core/report.ts'
import { startSandbox } from '../../src/sandbox/index.ts'
import { Canaries } from './canaries.ts'
import { runCli } from './cli.ts'
import { call, prepareRig, type Rig, rotate, untilReady, untilTurned } from './harness.ts'
import { spawnService } from './process.ts'

const at = '/v1/credentials/openai'

function payloadOf({ payload }: SignedReport): string {
  return Buffer.from(payload, 'base64url').toString()
}

async function reportAt(rig: Rig, path: string): Promise<Report> {
  const { body } = await call<SignedReport>(rig, `${at}/${path}/report`)
  return JSON.parse(payloadOf(body)) as Report
}

it('a real service turns a key; its report verifies elsewhere, a changed one does not, and an older one stays whole', async () => {
  const canaries = new Canaries()
  const sandbox = await startSandbox({ random: canaries.random })
  onTestFinished(() => sandbox.close())
  const rig = await prepareRig({ sandbox })
  let service = await spawnService(rig)
  await untilReady(rig)

  const turned = await runCli(rig, ['rotate', 'openai', '--wait', '--reason', 'for the audit'])
  expect([turned.code, turned.out]).toEqual([0, expect.stringContaining("signed: 'keyturn report openai")])
  const shown = await runCli(rig, ['report', 'openai'])
  for (const word of [
    'for the audit',
    'operator-of-this-home',
    'proven dead    yes',
    'invalid_api_key',
    'req_',
  ])
    expect(shown.out).toContain(word)
  expect((await runCli(rig, ['report', 'openai', '--output', 'report.json'])).code).toBe(0)
  const text = readFileSync(join(rig.home, 'report.json'), 'utf8')
  const payload = payloadOf(JSON.parse(text) as SignedReport)
  const report = JSON.parse(payload) as Report
  expect(report).toMatchObject({ isFinal: true, remarks: [], retirements: [{ isProvenDead: true }] })

  // Elsewhere: no service, no home, only the document and the key that was published.
  const key = await runCli(rig, ['report', 'key'])
  writeFileSync(join(rig.home, 'published.pub'), key.out)
  const middle = Math.floor(text.length / 2)
  const changed = text.slice(0, middle) + (text[middle] === 'A' ? 'B' : 'A') + text.slice(middle + 1)
  writeFileSync(join(rig.home, 'changed.json'), changed)
  const env = { KEYTURN_HOME: join(rig.home, 'nowhere'), PATH: rig.env['PATH'] ?? '' }
  const verify = (file: string) => runCli(rig, ['report', 'verify', file, '--key', 'published.pub'], { env })
  const [kept, spoilt] = await Promise.all([verify('report.json'), verify('changed.json')])
  expect([kept.code, kept.out]).toEqual([
    0,
    expect.stringMatching(/^signed by installation \w+ on .*, unchanged\n/),
  ])
  expect([spoilt.code, spoilt.err]).toEqual([1, expect.stringContaining('no report as it was signed')])

  // Killed, started again, and turned once more: the same report, signed by the same key.
  await service.kill()
  service = await spawnService(rig)
  await untilReady(rig)
  await untilTurned(rig, (await rotate(rig)).id)
  const { issuedAt: _then, ...before } = report
  const { issuedAt: _now, ...after } = await reportAt(rig, `rotations/${report.rotation?.id}`)
  expect(after).toEqual(before)
  const told = await call<{ readonly pem: string }>(rig, '/v1/signing-key')
  expect(told.body.pem).toBe(key.out)
  const old = await reportAt(rig, `versions/${report.rotation?.from?.version}`)
  expect(old).toMatchObject({ subject: 'retirement', isFinal: true, retirements: report.retirements })

  expect(statSync(join(rig.home, 'signing-key.pem')).mode & 0o777).toBe(0o600)
  expect(canaries.count).toBeGreaterThan(4)
  const texts = { text: shown.out, document: text, payload, retirement: JSON.stringify(old) }
  expect(canaries.search(new Map(Object.entries(texts)))).toEqual([])
  await service.kill()
}, 60_000)
