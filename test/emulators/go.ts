import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NotInstallable } from './emulator.ts'
import { run } from './processes.ts'

export interface GoProgram {
  /** The command's package. */
  readonly command: string
  /** Versions of modules, as one go.mod has to name them. */
  readonly requires: Readonly<Record<string, string>>
  /** Modules that the command's own repository takes in place of others; only the main module has a say in that. */
  readonly replaces?: Readonly<Record<string, string>>
  /** For the linker: values of variables by their full names. */
  readonly values?: Readonly<Record<string, string>>
}

const downloadMs = 120_000
const buildMs = 1_200_000

/** Builds a command as `folder`/`name`, from the module proxy that the machine is configured for. */
export async function buildGo(name: string, program: GoProgram, folder: string): Promise<void> {
  const { command, requires, replaces = {}, values = {} } = program
  const lines = [
    `module keyturn.test/${name}`,
    'go 1.25',
    ...Object.entries(requires).map(([module, version]) => `require ${module} ${version}`),
    ...Object.entries(replaces).map(([module, by]) => `replace ${module} => ${by}`),
  ]
  await writeFile(join(folder, 'go.mod'), `${lines.join('\n\n')}\n`)
  const link = ['-s', '-w', ...Object.entries(values).map(([key, value]) => `-X ${key}=${value}`)].join(' ')
  const out = join(folder, name)
  const flags = ['-mod=mod', '-trimpath', '-ldflags', link, '-o', out]
  await need(['go', 'build', ...flags, command], folder, buildMs)
}

/** The text of a module's go.mod. */
export async function goModOf(module: string, folder: string): Promise<string> {
  const output = await need(['go', 'mod', 'download', '-json', module], folder, downloadMs)
  const { GoMod } = JSON.parse(output) as { readonly GoMod: string }
  return readFile(GoMod, 'utf8')
}

async function need(command: readonly string[], cwd: string, timeoutMs: number): Promise<string> {
  const env = { CGO_ENABLED: '0', GOWORK: 'off' }
  const { isGood, said, output } = await run(command, { cwd, timeoutMs, env })
  if (!isGood) throw new NotInstallable(said)
  return output
}
