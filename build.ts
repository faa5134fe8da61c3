// npm run build, or: node build.ts [FOLDER]
// Makes dist of src: what apps and the command load (JavaScript, in few files) and its types (as the compiler writes them).
// A start loads a third of the files, in four fifths of the time (docs/performance.md). Packages are
// not put into the files: they stay what is installed, so that an update of one reaches Keyturn without a new release.
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

const root = import.meta.dirname
const folder = process.argv[2] ?? join(root, 'dist')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}
const packages = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })

/** The modules that are loaded by name: what package.json exports, and what bin/keyturn.js runs. */
const exported = Object.values(manifest.exports).flatMap((one) =>
  typeof one === 'string' ? [] : [one.default],
)
const entries = [...exported.map((path) => path.replace(/^\.\/dist\/|\.js$/g, '')), 'cli/main']

rmSync(folder, { recursive: true, force: true })
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const types = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', folder], {
  cwd: root,
  stdio: 'inherit',
})
process.exitCode = types.status ?? 1

const bundle = await rolldown({
  input: Object.fromEntries(entries.map((entry) => [entry, join(root, 'src', `${entry}.ts`)])),
  platform: 'node',
  external: isOutside,
})
await bundle.write({
  dir: folder,
  format: 'esm',
  // Without a hash: a service that runs while dist is built anew finds what it has not loaded yet.
  chunkFileNames: 'chunks/[name].js',
})
await bundle.close()

/**
 * Node's own modules, and packages that are installed with Keyturn: no others, for they would be missing there. What rolldown
 * adds of its own, where a literal has to be written in another way, goes into the files.
 */
function isOutside(id: string): boolean {
  if (/^[./]/.test(id) || id.startsWith('@oxc-project/runtime/')) return false
  if (isBuiltin(id) || packages.some((name) => id === name || id.startsWith(`${name}/`))) return true
  throw new Error(`${id} is imported, but it is no dependency in package.json`)
}
