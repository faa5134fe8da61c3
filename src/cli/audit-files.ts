import { readdirSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { type Context, usage } from './command.ts'

/** The files of one journal. */
export interface JournalFiles {
  readonly folder: string
  readonly paths: readonly string[]
  /** Where one file was named, not all of its folder. */
  readonly isFile?: boolean
}

const filePattern = /\.jsonl$/
const headsPattern = /\.heads\.jsonl$/

/**
 * What a path names: a file, the folder of one journal, or the folder that has journals in folders of their own, as
 * `audit.sinks` names it. Default: `audit` in the home folder.
 */
export async function journalsAt(context: Context, given: string): Promise<readonly JournalFiles[]> {
  const { io } = context
  const path = given === '' ? join((await context.target()).home, 'audit') : resolve(io.cwd, given)
  const found = statsOf(path)
  if (found === undefined)
    throw usage(`there is no ${path}`, 'Name the folder that audit.sinks has, or one of its files.')
  if (!found.isDirectory()) return [{ folder: dirname(path), paths: [path], isFile: true }]
  const own = filesIn(path)
  if (own.length > 0) return [{ folder: path, paths: own }]
  const journals = readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ folder: join(path, name), paths: filesIn(join(path, name)) }))
    .filter(({ paths }) => paths.length > 0)
  if (journals.length > 0)
    return journals.toSorted((a, b) => basename(a.folder).localeCompare(basename(b.folder)))
  throw usage(`there is no journal in ${path}`, 'Name the folder that audit.sinks has, or one of its files.')
}

/** Undefined: not there. What another user keeps to himself is a fault that says so. */
function statsOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => filePattern.test(name) && !headsPattern.test(name))
    .sort()
    .map((name) => join(folder, name))
}

/** Files that hold heads, one per line: of a place that audit.heads names, or what `keyturn audit heads` printed. */
export function headFilesAt(context: Context, given: string): readonly string[] {
  const path = resolve(context.io.cwd, given)
  const found = statsOf(path)
  if (found === undefined)
    throw usage(`there is no ${path}`, 'Name the folder that audit.heads has, or one of its files.')
  if (!found.isDirectory()) return [path]
  return readdirSync(path)
    .filter((name) => headsPattern.test(name))
    .sort()
    .map((name) => join(path, name))
}
