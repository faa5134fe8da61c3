// In the image, last: node assemble.ts FOLDER
// Lays out the file system of the final image: FOLDER/runtime (Node with the libraries it is linked to, users), FOLDER/app
// (Keyturn) and FOLDER/state (what belongs to its user).
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

const folder = process.argv[2] ?? '/image'
const runtime = join(folder, 'runtime')
const app = join(folder, 'app', 'opt', 'keyturn')

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text, { mode })
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  if (statSync(from).isDirectory()) cpSync(from, to, { recursive: true, dereference: true })
  else copyFileSync(from, to)
}

// ----------------------------------------------------------------- Node

const libraries = librariesOf(process.execPath)
for (const path of libraries) copy(path, join(runtime, path))
copy(process.execPath, join(runtime, 'usr/local/bin/node'))
write(join(runtime, 'etc/passwd'), 'root:x:0:0:root:/:/\nkeyturn:x:65532:65532:Keyturn:/var/lib/keyturn:/\n')
write(join(runtime, 'etc/group'), 'root:x:0:\nkeyturn:x:65532:\n')
// Otherwise glibc asks the network before it looks into /etc/hosts.
write(join(runtime, 'etc/nsswitch.conf'), 'hosts: files dns\n')
// Here, so that it is root's and not that of whose folders are put there.
mkdirSync(join(runtime, 'var/lib'), { recursive: true })
mkdirSync(join(runtime, 'tmp'), { recursive: true })
chmodSync(join(runtime, 'tmp'), 0o1777)

/** What its dynamic linker loads: asked as `ldd` does, which is a script and needs a shell. */
function librariesOf(program: string): readonly string[] {
  const { stdout } = spawnSync(program, { env: { LD_TRACE_LOADED_OBJECTS: '1' }, encoding: 'utf8' })
  const found = stdout.split('\n').flatMap((line) => /(?:=>\s+|^\s*)(\/\S+)\s+\(0x/.exec(line)?.[1] ?? [])
  if (found.length < 2)
    throw new Error(`The libraries of ${program} are not known: is the base of another libc?`)
  return found
}

// ----------------------------------------------------------------- Keyturn

for (const name of ['bin', 'dist', 'node_modules', 'package.json', 'LICENSE']) copy(name, join(app, name))
copy('deploy/image/healthcheck.js', join(app, 'healthcheck.js'))
// Of no use to a program that runs, and a third of all there is.
for (const name of readdirSync(app, { recursive: true, encoding: 'utf8' }))
  if (/\.(?:d\.[cm]?ts|map)$/.test(name)) rmSync(join(app, name))
// npm leaves folders of scopes in which there is nothing any more.
for (const name of readdirSync(app, { recursive: true, encoding: 'utf8' }).toSorted().toReversed()) {
  const path = join(app, name)
  if (lstatSync(path).isDirectory() && readdirSync(path).length === 0) rmdirSync(path)
}
rmSync(join(app, 'node_modules/.package-lock.json'), { force: true })
rmSync(join(app, 'node_modules/.bin'), { recursive: true, force: true })
// There is no /usr/bin/env that would look for Node.
const bin = join(app, 'bin/keyturn.js')
write(bin, readFileSync(bin, 'utf8').replace(/^#!.*/, '#!/usr/local/bin/node'))
chmodSync(bin, 0o755)
mkdirSync(join(folder, 'app/usr/local/bin'), { recursive: true })
symlinkSync('/opt/keyturn/bin/keyturn.js', join(folder, 'app/usr/local/bin/keyturn'))
write(
  join(app, 'sbom.cdx.json'),
  JSON.stringify(withRuntime(JSON.parse(readFileSync('sbom.cdx.json', 'utf8')))),
)

// A home, and a folder of secrets that several replicas can share.
for (const name of ['keyturn', 'keyturn-shared'])
  mkdirSync(join(folder, 'state', name), { recursive: true, mode: 0o700 })

// ----------------------------------------------------------------- what all that is made of

interface Sbom {
  readonly components: readonly object[]
  readonly [field: string]: unknown
}

/** npm knows its packages; Node and the libraries of the system are told beside them, so that scanners find them too. */
function withRuntime(sbom: Sbom): Sbom {
  const version = process.versions.node
  const node = {
    type: 'platform',
    name: 'node',
    version,
    purl: `pkg:generic/node@${version}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
  }
  return { ...sbom, components: [...sbom.components, node, ...systemPackages()] }
}

/** The Debian packages that the libraries are of; none where the base is no Debian. */
function systemPackages(): readonly object[] {
  const info = '/var/lib/dpkg/info'
  if (!existsSync(info)) return []
  // The lists have a library under /usr or without it, as its package was made.
  const files = libraries
    .flatMap((path) => [path, realpathSync(path)])
    .flatMap((path) => [path, `/usr${path}`, path.replace(/^\/usr/, '')])
  const owners = readdirSync(info).filter((name) => {
    if (!name.endsWith('.list')) return false
    const owned = new Set(readFileSync(join(info, name), 'utf8').split('\n'))
    return files.some((path) => owned.has(path))
  })
  const known = readFileSync('/var/lib/dpkg/status', 'utf8').split('\n\n')
  return owners.map((file) => {
    const name = file.replace(/(?::\w+)?\.list$/, '')
    const entry = known.find((text) => text.startsWith(`Package: ${name}\n`)) ?? ''
    const version = /^Version: (.*)$/m.exec(entry)?.[1] ?? 'unknown'
    const architecture = /^Architecture: (.*)$/m.exec(entry)?.[1] ?? 'unknown'
    const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`
    return { type: 'library', name, version, purl }
  })
}
