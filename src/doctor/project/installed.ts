import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileBytesMax } from './walk.ts'

/** The version that an installer wrote down, read without running anything of it. */
export function installedVersion(
  folder: string,
  ecosystem: 'npm' | 'python',
  name: string,
): string | undefined {
  if (!/^(?:@[\w.-]+\/)?[\w.-]+$/.test(name)) return undefined
  return ecosystem === 'npm' ? ofNodeModules(folder, name) : ofVirtualEnvironment(folder, name)
}

const version = /^\d+\.\d+[\w.+-]{0,60}$/

function ofNodeModules(folder: string, name: string): string | undefined {
  const path = join(folder, 'node_modules', name, 'package.json')
  try {
    const about = statSync(path)
    if (!about.isFile() || about.size > fileBytesMax) return undefined
    const found = (JSON.parse(readFileSync(path, 'utf8')) as { version?: unknown } | null)?.version
    return typeof found === 'string' && version.test(found) ? found : undefined
  } catch {
    return undefined
  }
}

function ofVirtualEnvironment(folder: string, name: string): string | undefined {
  for (const home of ['.venv', 'venv', 'env']) {
    const libraries = [
      ...namesIn(join(folder, home, 'lib')).map((python) =>
        join(folder, home, 'lib', python, 'site-packages'),
      ),
      join(folder, home, 'Lib', 'site-packages'),
    ]
    for (const library of libraries) {
      const found = namesIn(library)
        .map((one) => /^([^-]+)-(.+)\.dist-info$/.exec(one))
        .find((match) => plain(match?.[1] ?? '') === plain(name))?.[2]
      if (found !== undefined && version.test(found)) return found
    }
  }
  return undefined
}

/** As installers compare names: `Python_Dotenv` is `python-dotenv`. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, '_')
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).slice(0, 10_000)
  } catch {
    return []
  }
}
