// npm run image: builds the image and runs compose.yaml with it, where this machine can; says why where it cannot.
// KEYTURN_IMAGE_CHECK=always makes that a failure.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { repository } from './builder.ts'
import { whyNot } from './programs.ts'

const reason = whyNot()
if (reason === undefined) {
  const vitest = join(repository, 'node_modules/vitest/vitest.mjs')
  const { status } = spawnSync(process.execPath, [vitest, 'run', '--config', 'vitest.image.config.ts'], {
    cwd: repository,
    stdio: 'inherit',
  })
  process.exitCode = status ?? 1
} else {
  process.stdout.write(`the image: left out, since ${reason}\n`)
  process.exitCode = process.env['KEYTURN_IMAGE_CHECK'] === 'always' ? 1 : 0
}
