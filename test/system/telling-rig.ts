import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { prepareRig, type Rig } from './harness.ts'

/** A service that tells its alerts to the webhook at this address; what signs them is in ALERTS_SECRET. */
export async function tellingRig(url: string, settings: readonly string[] = []): Promise<Rig> {
  const rig = await prepareRig()
  const lines = [
    'alerts:',
    ...settings.map((line) => `  ${line}`),
    '  channels:',
    `    ops: { kind: webhook, url: "${url}/hook", secret: { env: ALERTS_SECRET } }`,
    '',
  ]
  appendFileSync(join(rig.home, 'keyturn.yaml'), lines.join('\n'))
  return rig
}
