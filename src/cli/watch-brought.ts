import type { VersionSummary } from '../api/types.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Api } from './api.ts'
import type { Context } from './command.ts'
import { type ExitCode, exitCodes } from './exit.ts'
import { short } from './text.ts'

const askMs = 1_000

/** Waits until a key that was brought is handed out, or until it is known that it will not be. */
export async function watchBrought(
  { io, out }: Context,
  api: Api,
  name: string,
  brought: VersionSummary,
): Promise<ExitCode> {
  const { version, fingerprint } = brought
  out.note(`${name}: key ${fingerprint} is in, and is being proven`)
  for (;;) {
    const { versions, rotation } = await api.summary(name)
    const found = versions.find((one) => one.version === version)
    if (found?.stage === 'current') {
      out.result(found, () => [`${name}: key ${fingerprint} is handed out (version ${short(version)})`])
      return exitCodes.done
    }
    const halt = rotation?.halt
    if (halt !== null && halt !== undefined)
      throw new KeyturnError('rotation_halted', `${name}: ${halt.summary}`, { fix: halt.fix })
    if (found?.stage !== 'pending') {
      const why = found?.check?.summary ?? 'its rotation has ended.'
      throw new KeyturnError('version_not_live', `${name}: key ${fingerprint} is not handed out: ${why}`, {
        fix: `See 'keyturn status ${name}'.`,
      })
    }
    await new Promise<void>((resolve) => {
      io.after(askMs, resolve)
    })
  }
}
