import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createRotationHandler, type RotationHandler } from '../../src/main/aws-rotation.ts'

const token = '3f0c2a71-d04b-4e58-86aa-5b1c2d3e4f50'
const arnIn = (region: string): string =>
  `arn:aws:secretsmanager:${region}:111122223333:secret:prod/openai-a1b2c3`

/** Each refuses by its schedule, before anything is opened: the refusal says which of them was meant. */
function functionOf(env: Readonly<Record<string, string>>, stores: readonly string[]): RotationHandler {
  const cwd = mkdtempSync(join(tmpdir(), 'keyturn-function-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  const file = join(cwd, 'keyturn.yaml')
  const credentials = stores.map(
    (store, index) =>
      `  openai-${index}: { store: { kind: aws-secrets-manager${store} }, ref: prod/openai, schedule: { cron: '0 3 * * *' } }`,
  )
  const lines = ['ledger: { kind: postgres, url: { env: LEDGER_URL } }', 'credentials:', ...credentials]
  writeFileSync(file, lines.join('\n'), { mode: 0o600 })
  return createRotationHandler({
    env: { KEYTURN_CONFIG: file, LEDGER_URL: 'postgres://ledger', ...env },
    cwd,
  })
}

const invoke = (handler: RotationHandler, region: string): Promise<void> =>
  handler({ Step: 'createSecret', SecretId: arnIn(region), ClientRequestToken: token })

it('a secret that is in two regions is turned where AWS says', async () => {
  const handler = functionOf({ AWS_REGION: 'eu-central-1' }, ['', ', region: us-east-1'])
  await expect(invoke(handler, 'eu-central-1')).rejects.toThrow('openai-0 has a schedule of its own')
  await expect(invoke(handler, 'us-east-1')).rejects.toThrow('openai-1 has a schedule of its own')
  await expect(invoke(handler, 'eu-west-1')).rejects.toThrow(/No credential of .* has its key in arn:/)
})
