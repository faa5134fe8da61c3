import type { Page } from 'playwright-core'
import { prepareRig, type Rig, untilReady } from './harness.ts'
import { serveRig } from './in-process.ts'

export const knobs = { revocationMs: 0, activationMs: [0, 0, 0] } as const
export const policy = { overlap: '1h', drainLimit: '2h', provingSettle: '400ms' }

/** With a token of an operator, up to the overview. */
export async function signIn(
  page: Page,
  { url, operator }: { readonly url: string; readonly operator: string },
): Promise<void> {
  await page.goto(`${url}/`)
  await page.getByLabel('Token').fill(operator)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Credentials' }).waitFor()
}

export async function startRig(): Promise<Rig> {
  const rig = await prepareRig({ knobs: { ...knobs, activationMs: [...knobs.activationMs] }, policy })
  await serveRig(rig)
  await untilReady(rig)
  return rig
}
