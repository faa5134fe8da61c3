import { readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { foldersAbove, readAbove, workflowsAbove } from './above.ts'
import type { ProjectFiles } from './files.ts'
import { askGit } from './git.ts'
import { installedVersion } from './installed.ts'
import { fileBytesMax, walk } from './walk.ts'
import { realWithin } from './within.ts'

/** The folder on the disk, listed once. Nothing is written, and nothing of it is run. */
export async function openProjectFiles(options: {
  readonly folder: string
  /** Of this process: where git is found, and its settings of this user. */
  readonly env: Readonly<Record<string, string | undefined>>
}): Promise<ProjectFiles> {
  const folder = resolve(options.folder)
  const paths = walk(folder)
  // What was listed is no link, but for a .env: its path need not be followed again.
  const plain = new Set(paths.filter((path) => !/(?:^|\/)\.env[^/]*$/.test(path)))
  const above = foldersAbove(folder)
  const git = await askGit(folder, paths, options.env)
  return {
    folder,
    list: () => paths,
    above: (name) =>
      above.map((up) => `${up}/${name}`).filter((path) => readAbove(folder, above, path) !== undefined),
    workflowsAbove: () => workflowsAbove(folder, above),
    read: (path) =>
      path.startsWith('../')
        ? readAbove(folder, above, path)
        : readText(plain.has(path) ? join(folder, path) : realWithin(folder, path)),
    isTracked: (path) => git?.tracked.has(path),
    isIgnored: (path) => git?.ignored.has(path),
    installed: (ecosystem, name) => installedVersion(folder, ecosystem, name),
  }
}

function readText(real: string | undefined): string | undefined {
  if (real === undefined) return undefined
  try {
    const about = statSync(real)
    return about.isFile() && about.size <= fileBytesMax ? readFileSync(real, 'utf8') : undefined
  } catch {
    return undefined
  }
}
