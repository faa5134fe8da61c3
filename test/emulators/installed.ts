import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Emulator } from './emulator.ts'

/** Written last, so that what an interrupted run left half done is never taken for whole. */
const wholeMarker = 'whole'

/** Where it is installed: found there from an earlier run, or installed now. */
export async function ensureInstalled(emulator: Emulator, root: string): Promise<string> {
  const folder = join(root, `${emulator.name}-${emulator.version}`.replaceAll(/[^\w.]+/g, '-'))
  if (existsSync(join(folder, wholeMarker))) return folder
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await emulator.install(folder)
  await writeFile(join(folder, wholeMarker), '')
  return folder
}
