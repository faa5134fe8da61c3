// npm run sbom [-- FILE]: what Keyturn is built on, as CycloneDX; exit code 1 where something that is installed with it is missing there.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { lockedPackages, readLockfile, repository } from './lockfile.ts'
import { missingFrom, type Sbom } from './missing.ts'

const file = process.argv[2] ?? 'sbom.cdx.json'
// All of them, with what is only for development marked as that: with `--omit dev` npm 11.19 also leaves out what both need.
const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only']
const { status, stdout, stderr } = spawnSync('npm', args, {
  cwd: fileURLToPath(repository),
  encoding: 'utf8',
  maxBuffer: 64 * 2 ** 20,
})
if (status === 0) {
  const sbom = JSON.parse(stdout) as Sbom
  const missing = missingFrom(sbom, lockedPackages(readLockfile()))
  writeFileSync(file, stdout)
  process.stdout.write(`${file}: ${sbom.components.length} components\n`)
  for (const name of missing) process.stdout.write(`missing: ${name}\n`)
  process.exitCode = missing.length === 0 ? 0 : 1
} else {
  process.stdout.write(stderr)
  process.exitCode = 1
}
