import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileBytesMax } from './walk.ts'

const levelsMax = 8

/** The folders above up to the repository's own, nearest first: `..`, `../..`. None where the folder is that, or in none. */
export function foldersAbove(folder: string): readonly string[] {
  const above: string[] = []
  for (let up = '.'; above.length <= levelsMax; up = up === '.' ? '..' : `../${up}`) {
    if (up !== '.') above.push(up)
    if (existsSync(join(folder, up, '.git'))) return above
  }
  return []
}

/** A `.env` in one of these folders, and nothing else: what is above is read for the sake of one question. */
export function readAbove(folder: string, above: readonly string[], path: string): string | undefined {
  const [, up = '', name = ''] = /^(.*)\/([^/]*)$/.exec(path) ?? []
  if (!above.includes(up) || !name.startsWith('.env')) return undefined
  try {
    const file = join(folder, path)
    const about = lstatSync(file)
    return about.isFile() && about.size <= fileBytesMax ? readFileSync(file, 'utf8') : undefined
  } catch {
    return undefined
  }
}
