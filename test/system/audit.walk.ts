import { expect, it } from 'vitest'
import { killRepeatedly } from './audit-kills.ts'

it('killed forty times under load: no reply left without its row', async () => {
  const { acknowledged } = await killRepeatedly(40)
  expect(acknowledged).toBeGreaterThan(20_000)
}, 540_000)
