import { readFileSync, statSync } from 'node:fs'
import { KeyturnError } from '../core/errors.ts'
import { type NamedFile, unreadable } from '../server/pem.ts'

const fileBytesMax = 4 * 1_048_576

/**
 * The text of a file that the configuration names; `config_invalid` where it cannot be read. A pipe that nobody writes to would be waited
 * for, and a device may never end: the process would stand still, and who names it may be a stranger whose configuration is checked.
 */
export function readNamed(named: NamedFile): string {
  const { path, setting } = named
  try {
    const about = statSync(path)
    if (about.isFile() && about.size <= fileBytesMax) return readFileSync(path, 'utf8')
  } catch (thrown) {
    throw unreadable(named, thrown)
  }
  throw new KeyturnError(
    'config_invalid',
    `What ${setting} names, ${path}, is no file, or a very long one.`,
    {
      fix: `Name the file itself in ${setting}: ls -ld '${path}'`,
    },
  )
}
