import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileBytesMax } from './walk.ts'
import { isWithin } from './within.ts'

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

const workflowsMax = 100
const workflow = /^\.github\/workflows\/[^/]+\.ya?ml$/

/** The workflows of the repository around the folder: `../../.github/workflows/ci.yml`. */
export function workflowsAbove(folder: string, above: readonly string[]): readonly string[] {
  const top = above.at(-1)
  if (top === undefined) return []
  try {
    return readdirSync(join(folder, top, '.github/workflows'))
      .toSorted()
      .slice(0, workflowsMax)
      .map((name) => `.github/workflows/${name}`)
      .filter((name) => workflow.test(name))
      .map((name) => `${top}/${name}`)
  } catch {
    return []
  }
}

/** A `.env` or a workflow in one of these folders, and nothing else: what is above is read for the sake of two questions. */
export function readAbove(folder: string, above: readonly string[], path: string): string | undefined {
  const [, up = '', name = ''] = /^((?:\.\.\/)*\.\.)\/((?!\.\.\/).*)$/.exec(path) ?? []
  const isAsked = (name.startsWith('.env') && !name.includes('/')) || workflow.test(name)
  if (!above.includes(up) || !isAsked) return undefined
  try {
    const file = join(folder, path)
    const about = lstatSync(file)
    if (!isWithin(join(folder, up), name)) return undefined
    return about.isFile() && about.size <= fileBytesMax ? readFileSync(file, 'utf8') : undefined
  } catch {
    return undefined
  }
}
