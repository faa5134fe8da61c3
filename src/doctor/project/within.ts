import { realpathSync } from 'node:fs'
import { isAbsolute, join, sep } from 'node:path'

/** The real path of a file that is inside the folder, all links followed; undefined where it is not, or is not there. */
export function realWithin(folder: string, path: string): string | undefined {
  if (path === '' || isAbsolute(path) || path.includes('\0') || path.split(/[\\/]/).includes('..'))
    return undefined
  try {
    const root = realpathSync(folder)
    const real = realpathSync(join(root, path))
    return real.startsWith(root.endsWith(sep) ? root : root + sep) ? real : undefined
  } catch {
    return undefined
  }
}

export function isWithin(folder: string, path: string): boolean {
  return realWithin(folder, path) !== undefined
}
