import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { ran, tried } from './programs.ts'

export const repository = join(import.meta.dirname, '..', '..')

/** buildah with a storage of its own in `folder`: no daemon, nothing of what else this machine has. */
export function buildah(folder: string, args: readonly string[]): string {
  return ran([...commandIn(folder), ...args], { cwd: repository })
}

const drivers = new Map<string, string>()

/** Layers are laid over each other where the kernel lets us, and copied whole where it does not. */
function commandIn(folder: string): readonly string[] {
  const place = ['buildah', '--root', join(folder, 'storage'), '--runroot', join(folder, 'run')]
  const known = drivers.get(folder)
  const driver =
    known ?? (tried([...place, '--storage-driver', 'overlay', 'info']).code === 0 ? 'overlay' : 'vfs')
  drivers.set(folder, driver)
  return [...place, '--storage-driver', driver]
}

/** Takes the storage apart, so that the folder can be removed. */
export function forget(folder: string): void {
  for (const what of [
    ['rm', '--all'],
    ['rmi', '--all', '--force'],
  ])
    tried([...commandIn(folder), ...what])
  tried(['umount', join(folder, 'storage', 'overlay')])
}

const authority = '/etc/ssl/certs/ca-certificates.crt'
/** What is set in the base. */
export const baseEnvironment = ['PATH=/usr/local/bin:/usr/bin:/bin', `NODE_EXTRA_CA_CERTS=${authority}`]

/**
 * The files of what the image is built in where no registry of images can be reached: the Node of the tests, npm and a
 * shell, out of this machine's own.
 */
export function layBase(folder: string): string {
  const root = join(folder, 'base')
  const node = join(repository, 'node_modules/node/bin/node')
  const npm = join(ran(['npm', 'root', '-g']).trim(), 'npm')
  for (const program of [node, '/bin/sh', '/usr/bin/env'])
    for (const path of librariesOf(program)) place(root, path)
  for (const path of glibcOf(node)) place(root, path)
  place(root, '/bin/sh')
  place(root, '/usr/bin/env')
  place(root, node, '/usr/local/bin/node')
  place(root, npm, '/usr/local/lib/node_modules/npm')
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'))
  mkdirSync(join(root, 'tmp'))
  mkdirSync(join(root, 'root'))
  for (const path of [authority, '/usr/etc/npmrc', '/var/lib/dpkg/status'])
    if (existsSync(path)) place(root, path, path.replace('/usr/etc', '/usr/local/etc'))
  for (const name of existsSync('/var/lib/dpkg/info') ? readdirSync('/var/lib/dpkg/info') : [])
    if (/^(?:libc6|libstdc\+\+6|libgcc-s1)(?::\w+)?\.list$/.test(name))
      place(root, `/var/lib/dpkg/info/${name}`)
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  return root
}

/** The same as an image. The name ends in its digest, as the Dockerfile asks for. */
export function makeBase(folder: string): string {
  const root = layBase(folder)
  const container = buildah(folder, ['from', 'scratch']).trim()
  buildah(folder, ['copy', container, root, '/'])
  buildah(folder, ['config', ...baseEnvironment.flatMap((one) => ['--env', one]), container])
  buildah(folder, ['commit', '--rm', container, 'localhost/keyturn-base'])
  const inspected = JSON.parse(buildah(folder, ['inspect', '--type', 'image', 'localhost/keyturn-base'])) as {
    readonly FromImageDigest: string
  }
  return `localhost/keyturn-base@${inspected.FromImageDigest}`
}

function place(root: string, from: string, to = from): void {
  mkdirSync(dirname(join(root, to)), { recursive: true })
  if (statSync(from).isDirectory()) cpSync(from, join(root, to), { recursive: true, dereference: true })
  else copyFileSync(from, join(root, to))
}

function librariesOf(program: string): readonly string[] {
  const { stdout } = spawnSync(program, { env: { LD_TRACE_LOADED_OBJECTS: '1' }, encoding: 'utf8' })
  return stdout.split('\n').flatMap((line) => /(?:=>\s+|^\s*)(\/\S+)\s+\(0x/.exec(line)?.[1] ?? [])
}

/** What a base has of glibc although Node is not linked to it: the builds of native tools are. */
function glibcOf(program: string): readonly string[] {
  const libc = librariesOf(program).find((path) => basename(path) === 'libc.so.6')
  if (libc === undefined) throw new Error(`${program} is linked to no glibc`)
  return readdirSync(dirname(libc))
    .filter((name) => /^lib(?:dl|m|pthread|resolv|rt|util)\.so\.\d+$/.test(name))
    .map((name) => join(dirname(libc), name))
}

/** Lent to a build, as a registry that is near. */
export function npmCache(): string {
  const cache = join(homedir(), '.npm')
  mkdirSync(cache, { recursive: true })
  return cache
}

export interface BuildOptions {
  readonly tag: string
  readonly args: readonly string[]
  readonly secret?: string
  readonly context?: string
}

/** A build in this machine's sandbox. */
export function build(folder: string, options: BuildOptions): string {
  return buildah(folder, [
    'build',
    '--isolation=chroot',
    '--pull-never',
    '--format=docker',
    `--volume=${npmCache()}:/root/.npm`,
    ...options.args.map((one) => `--build-arg=${one}`),
    ...(options.secret === undefined ? [] : [`--secret=id=npmrc,src=${options.secret}`]),
    `--tag=${options.tag}`,
    options.context ?? repository,
  ])
}
