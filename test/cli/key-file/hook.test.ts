import { expect, it, onTestFinished, vi } from 'vitest'
import { runHook } from '../../../src/cli/key-file/hook.ts'

it('a hook that took the rights of another user, and cannot be ended, is late like any other', async () => {
  const kill = vi.spyOn(process, 'kill').mockImplementation(() => {
    throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' })
  })
  onTestFinished(() => kill.mockRestore())
  const hook = runHook({
    command: 'exit 0',
    env: {},
    timeoutMs: 60_000,
    after: (_delayMs, callback) => {
      callback()
      return () => undefined
    },
  })
  await expect(hook).rejects.toMatchObject({ code: 'timeout', retryable: true })
  expect(kill).toHaveBeenCalledTimes(1)
})
