import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from './processes.ts'

/** Figures are of what users run, so of dist: built where it is missing or older than what it is built from. */
export function buildIfNeeded(): void {
  if (newest('dist') > newest('src')) return
  process.stderr.write('building\n')
  const built = spawnSync(process.execPath, [join(repository, 'build.ts')], { stdio: 'inherit' })
  if (built.status !== 0) throw new Error('the build failed')
}

function newest(folder: string): number {
  const root = join(repository, folder)
  if (!existsSync(root)) return 0
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
  return Math.max(0, ...names.map((name) => statSync(join(root, name)).mtimeMs))
}
