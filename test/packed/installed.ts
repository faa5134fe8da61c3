import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '..', '..')
const run = promisify(execFile)

export interface Packed {
  /** The tarball, as `npm publish` would send it. */
  readonly tarball: string
  /** Lives as long as the tarball; others may put more into it. Its path has a space. */
  readonly folder: string
  readonly remove: () => Promise<void>
}

export interface Installed {
  /** The folder of an app that has keyturn and nothing else. Its path has a space. */
  readonly app: string
  readonly remove: () => Promise<void>
}

const quietly = ['--prefer-offline', '--no-audit', '--no-fund']

/** Builds what the sources are now, and packs it. */
export async function pack(): Promise<Packed> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn packed '))
  const source = join(folder, 'source')
  const tracked = (await run('git', ['ls-files', '-z', '--', ...packedFrom], { cwd: root })).stdout
  for (const name of tracked.split('\0').filter((each) => each !== ''))
    await cp(join(root, name), join(source, name))
  await build(join(source, 'dist'))
  await npm(source, ['pack', '--ignore-scripts', '--pack-destination', folder])
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack made no tarball')
  const remove = () => rm(folder, { recursive: true, force: true })
  return { tarball: join(folder, tarball), folder, remove }
}

/** All but what the compiler makes: what of it goes into the tarball is for package.json to say. */
const packedFrom = [':!test', ':!bench', ':!examples', ':!src']

/** Installs the tarball in an app of its own; its dependencies come from the registry or npm's cache. */
export async function install({ tarball, folder }: Packed, extra: readonly string[] = []): Promise<string> {
  const app = await mkdtemp(join(folder, 'an app '))
  await writeFile(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }')
  const omitted = ['--omit=optional', '--omit=peer']
  await npm(app, ['install', ...quietly, '--ignore-scripts', ...omitted, tarball, ...extra])
  return app
}

/** The package alone: no optional dependencies, no peers. */
export async function installPacked(): Promise<Installed> {
  const packed = await pack()
  return { app: await install(packed), remove: packed.remove }
}

/** A tool or a runtime, by its exact version, in a folder of its own under the one given. */
export async function installTool(folder: string, spec: string): Promise<string> {
  const place = await mkdtemp(join(folder, 'tool '))
  await writeFile(join(place, 'package.json'), '{ "name": "tool", "private": true }')
  await npm(place, ['install', ...quietly, '--ignore-scripts', spec])
  return join(place, 'node_modules')
}

/** It writes what it can also where types do not hold; that they do is for another check to say. */
async function build(outDir: string): Promise<void> {
  const built = await finished(
    spawn(process.execPath, [join(root, 'build.ts'), outDir], { stdio: ['ignore', 'pipe', 'pipe'] }),
  )
  if (built.code !== 0) process.stderr.write(`the build says:\n${built.out}\n`)
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
  options: {
    readonly env?: Readonly<Record<string, string>>
    readonly cwd?: string
    /** Default: the Node that runs the tests. */
    readonly node?: string
  } = {},
): ChildProcess {
  return spawn(options.node ?? process.execPath, [join(app, 'node_modules', '.bin', 'keyturn'), ...args], {
    cwd: options.cwd ?? app,
    env: { PATH: process.env['PATH'] ?? '', HOME: options.cwd ?? app, NO_COLOR: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
