// npm run image: builds the image and runs compose.yaml with it, where this machine can. Where no builder can run, or with
// KEYTURN_IMAGE_BUILDER=none, the commands of the Dockerfile are run without one, and what that does not show is told. Where not
// even that can be, it says why; KEYTURN_IMAGE_CHECK=always makes that a failure.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { repository } from './builder.ts'
import { whyNot, whyNotByHand } from './programs.ts'

const noBuilder = whyNot()
const reason = noBuilder === undefined ? undefined : whyNotByHand()
const byHand = `the image: NO BUILDER, since ${noBuilder}. What the Dockerfile says is run without one, and what it makes in namespaces of this machine.
  Not shown by that: that a builder takes the Dockerfile, layers and configuration as a registry gets them, and the limits of a
  runtime (number of processes, memory, filters of system calls).
`
if (reason === undefined) {
  if (noBuilder !== undefined) process.stdout.write(byHand)
  const vitest = join(repository, 'node_modules/vitest/vitest.mjs')
  const { status } = spawnSync(process.execPath, [vitest, 'run', '--config', 'vitest.image.config.ts'], {
    cwd: repository,
    stdio: 'inherit',
  })
  // Once more, where it is read.
  if (noBuilder !== undefined) process.stdout.write(byHand)
  process.exitCode = status ?? 1
} else {
  process.stdout.write(`the image: left out, since ${reason}\n`)
  process.exitCode = process.env['KEYTURN_IMAGE_CHECK'] === 'always' ? 1 : 0
}
