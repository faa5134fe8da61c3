import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '..', '..')
const run = promisify(execFile)

export interface Installed {
  /** The folder of an app that has keyturn and nothing else. Its path has a space. */
  readonly app: string
  readonly remove: () => Promise<void>
}

/**
 * Builds what the sources are now, packs it as `npm publish` would, and installs the package alone: no optional
 * dependencies, no peers, from its tarball and otherwise from the registry or npm's cache.
 */
export async function installPacked(): Promise<Installed> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn packed '))
  const source = join(folder, 'source')
  const app = join(folder, 'an app')
  await mkdir(app, { recursive: true })
  for (const name of ['bin', 'docs', 'CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
    await cp(join(root, name), join(source, name), { recursive: true })
  await build(join(source, 'dist'))
  await npm(source, ['pack', '--ignore-scripts', '--pack-destination', app])
  const tarball = (await readdir(app)).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack made no tarball')
  await writeFile(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }')
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts']
  await npm(app, ['install', ...quietly, '--omit=optional', '--omit=peer', `./${tarball}`])
  return { app, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** The compiler writes what it can also where types do not hold; that they do is for another check to say. */
async function build(outDir: string): Promise<void> {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const built = await finished(
    spawn(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', outDir], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
  if (built.code !== 0) process.stderr.write(`the compiler says:\n${built.out}\n`)
}

/** npm by its own words; its output is shown where it fails. */
export async function npm(cwd: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run('npm', args, { cwd, env: cleanEnvironment(), maxBuffer: 10_000_000 })
  return stdout
}

/** Without what npm tells the scripts that it runs, which would be taken for settings. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^npm_(?!config_(?:registry|cache))|^VITEST|^NODE_ENV$/.test(name),
    ),
  )
}

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export async function finished(child: ChildProcess): Promise<Ended> {
  const read = { out: '', err: '' }
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (read.out += chunk))
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (read.err += chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...read }
}

/** `keyturn …` as npm put it into the app's folder. */
export function keyturn(
  app: string,
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): ChildProcess {
  return spawn(process.execPath, [join(app, 'node_modules', '.bin', 'keyturn'), ...args], {
    cwd: options.cwd ?? app,
    env: { PATH: process.env['PATH'] ?? '', HOME: options.cwd ?? app, NO_COLOR: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
