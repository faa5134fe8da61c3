import { hash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { type Instruction, instructionsOf } from '../deploy/dockerfile.ts'
import { type BuildOptions, baseEnvironment, layBase, npmCache, repository } from './builder.ts'
import { quoted, ran } from './programs.ts'
import type { ImageConfig, Unpacked } from './unpacked.ts'

type Words = Record<string, string | undefined>

/** One stage of the Dockerfile, as a folder that is the file system of its commands. */
interface Stage {
  readonly root: string
  readonly args: Words
  readonly env: Words
  readonly labels: Words
  /** What each COPY brought, as a tar file. */
  readonly layers: string[]
  workdir: string
  config: Partial<ImageConfig>
}

/** The base of a build without a builder: its name ends in a digest, of the names of what is in it. */
export function layNamedBase(folder: string): string {
  const names = readdirSync(layBase(folder), { recursive: true, encoding: 'utf8' }).toSorted()
  return `localhost/keyturn-base@sha256:${hash('sha256', names.join('\n'))}`
}

/** Does what the Dockerfile says, instruction by instruction, where no builder can be had. What it does not know, it refuses. */
export function buildByHand(folder: string, options: BuildOptions): Unpacked {
  const context = options.context ?? repository
  const given: Words = Object.fromEntries(options.args.map((text) => split(text)))
  const globals: Words = {}
  const stages = new Map<string, Stage>()
  let stage: Stage | undefined
  for (const { name, rest } of instructionsOf(readFileSync(join(context, 'Dockerfile'), 'utf8'))) {
    if (name === 'FROM') {
      const [from = '', , as = String(stages.size)] = rest.split(' ')
      stage = begin(join(folder, 'stages', as), filled(from, { ...globals, ...given }), folder)
      stages.set(as, stage)
    } else if (name === 'ARG') {
      const [key, value] = split(rest)
      const target = stage?.args ?? globals
      target[key] = given[key] ?? value ?? globals[key] ?? ''
    } else if (stage === undefined) throw new Error(`${name} stands before the first FROM.`)
    else if (name === 'RUN') run(stage, rest, options.secret)
    else if (name === 'COPY') copy(stage, rest, { stages, context })
    else configure(stage, { name, rest: filled(rest, { ...stage.args, ...stage.env }) })
  }
  if (stage === undefined) throw new Error('The Dockerfile has no stage.')
  const { env, labels, layers } = stage
  const config = { ...stage.config, Env: Object.entries(env).map((pair) => pair.join('=')), Labels: labels }
  return { config: config as ImageConfig, documents: JSON.stringify(config), layers, root: stage.root }
}

function begin(root: string, from: string, folder: string): Stage {
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true })
  const isScratch = from === 'scratch'
  if (!isScratch) ran(['cp', '-a', `${join(folder, 'base')}/.`, root])
  const env: Words = isScratch ? {} : Object.fromEntries(baseEnvironment.map((text) => split(text)))
  return { root, args: {}, env, labels: {}, layers: [], workdir: '/', config: {} }
}

function configure(stage: Stage, { name, rest }: Instruction): void {
  const list = (): readonly string[] => JSON.parse(rest.slice(rest.indexOf('['))) as string[]
  const set = (config: Partial<ImageConfig>): void => void (stage.config = { ...stage.config, ...config })
  switch (name) {
    case 'ENV':
      Object.assign(stage.env, pairsOf(rest))
      return
    case 'LABEL':
      Object.assign(stage.labels, pairsOf(rest))
      return
    case 'WORKDIR':
      stage.workdir = resolve(stage.workdir, rest)
      mkdirSync(join(stage.root, stage.workdir), { recursive: true })
      return set({ WorkingDir: stage.workdir })
    case 'USER':
      return set({ User: rest })
    case 'VOLUME':
      return set({ Volumes: Object.fromEntries(list().map((path) => [path, {}])) })
    case 'STOPSIGNAL':
      return set({ StopSignal: rest })
    case 'HEALTHCHECK':
      return set({ Healthcheck: { Test: ['CMD', ...list()] } })
    case 'ENTRYPOINT':
      return set({ Entrypoint: list() })
    case 'CMD':
      return set({ Cmd: list() })
    case 'EXPOSE':
      return
    default:
      throw new Error(`Without a builder nobody knows what ${name} does: teach it to test/image/by-hand.ts.`)
  }
}

/** In the stage as its root, with a process table and devices; npm's cache and the secret are there meanwhile. */
function run(stage: Stage, rest: string, secret: string | undefined): void {
  const { root, workdir } = stage
  const [, flag, command = ''] = /^(--mount=type=secret,id=npmrc,target=\S+ )?(.*)$/s.exec(rest) ?? []
  if (command.startsWith('--')) throw new Error(`Without a builder nobody knows RUN ${command}`)
  const binds: [from: string, to: string][] = [
    [npmCache(), '/root/.npm'],
    ['/etc/resolv.conf', '/etc/resolv.conf'],
    ['/etc/hosts', '/etc/hosts'],
  ]
  const target = flag?.split('target=')[1]?.trim()
  if (target !== undefined && secret !== undefined) binds.push([secret, target])
  const there = binds.filter(([from]) => existsSync(from))
  for (const [from, to] of there) mountPoint(from, join(root, to))
  for (const name of ['proc', 'dev']) mkdirSync(join(root, name), { recursive: true })
  const script = [
    'set -e',
    `mount -t proc proc ${quoted(join(root, 'proc'))}`,
    `mount --rbind /dev ${quoted(join(root, 'dev'))}`,
    ...there.map(([from, to]) => `mount --bind ${quoted(from)} ${quoted(join(root, to))}`),
    `exec chroot ${quoted(root)} /bin/sh -c ${quoted(`cd ${quoted(workdir)} && ${command}`)}`,
  ].join('\n')
  const proxies = Object.entries(process.env).filter(([key]) => /^(?:https?|no)_proxy$/i.test(key))
  const env: Words = { HOME: '/root', ...Object.fromEntries(proxies), ...stage.args, ...stage.env }
  env['PATH'] = `${env['PATH'] ?? ''}:/usr/sbin:/sbin`
  ran(['unshare', '--mount', '--pid', '--fork', '--kill-child', '/bin/sh', '-c', script], { env })
  if (target !== undefined) rmSync(join(root, target), { force: true })
}

/** What is mounted somewhere needs something of its kind to be mounted over. */
export function mountPoint(from: string, to: string): void {
  mkdirSync(statSync(from).isDirectory() ? to : dirname(to), { recursive: true })
  if (!existsSync(to)) writeFileSync(to, '')
}

function copy(
  stage: Stage,
  rest: string,
  { stages, context }: { readonly stages: ReadonlyMap<string, Stage>; readonly context: string },
): void {
  const words = rest.split(' ')
  const flag = (name: string): string | undefined =>
    words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3)
  const paths = words.filter((word) => !word.startsWith('--'))
  const target = paths.pop() ?? ''
  const source = flag('from')
  const from = source === undefined ? context : stages.get(source)?.root
  if (from === undefined) throw new Error(`There is no stage ${source}.`)
  const isSent = source === undefined ? sentOf(context) : () => true
  const layer = join(`${stage.root}.layers`, String(stage.layers.length))
  const owner = flag('chown')
  for (const path of paths) {
    const into = join(layer, resolve(stage.workdir, target))
    for (const [one, to] of placesOf(join(from, path), { into, isInside: target.endsWith('/') })) {
      if (!isSent(relative(from, one))) continue
      mkdirSync(dirname(to), { recursive: true })
      const filter = (inner: string): boolean => isSent(relative(from, inner))
      cpSync(one, to, { recursive: true, verbatimSymlinks: true, filter })
      if (owner !== undefined) ran(['chown', '--recursive', '--no-dereference', owner, to])
    }
  }
  const tar = `${layer}.tar`
  ran(['tar', '--create', '--numeric-owner', '--file', tar, '--directory', layer, ...readdirSync(layer)])
  ran(['tar', '--extract', '--numeric-owner', '--same-owner', '--file', tar, '--directory', stage.root])
  stage.layers.push(tar)
}

/** Of a folder what is in it, so that the one it goes into stays what it is. */
function placesOf(
  path: string,
  { into, isInside }: { readonly into: string; readonly isInside: boolean },
): readonly (readonly [from: string, to: string])[] {
  if (!statSync(path).isDirectory()) return [[path, isInside ? join(into, basename(path)) : into]]
  return readdirSync(path).map((name) => [join(path, name), join(into, name)] as const)
}

/** Whether `.dockerignore` lets a path through to the builder: its last rule that fits decides, for what lies in a folder as well. */
function sentOf(context: string): (path: string) => boolean {
  const rules = readFileSync(join(context, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const text = line
        .replace(/^!/, '')
        .replaceAll(/\*\*\/|\*|[.+?^${}()|[\]\\]/g, (one) => wildcards[one] ?? `\\${one}`)
      return { isLetIn: line.startsWith('!'), fits: new RegExp(`^${text}(?:/.*)?$`) }
    })
  return (path) => rules.findLast(({ fits }) => fits.test(path))?.isLetIn ?? true
}

const wildcards: Readonly<Record<string, string>> = { '**/': '(?:.+/)?', '*': '[^/]*' }

function split(text: string): readonly [name: string, value: string | undefined] {
  const at = text.indexOf('=')
  if (at < 0) return [text, undefined]
  return [text.slice(0, at), text.slice(at + 1).replaceAll(/^"|"$/g, '')]
}

function pairsOf(text: string): Words {
  const pairs = text.match(/[^\s=]+=(?:"[^"]*"|\S*)/g) ?? []
  return Object.fromEntries(pairs.map((pair) => split(pair)))
}

/** `${NAME}` */
function filled(text: string, values: Words): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_all, name: string) => values[name] ?? '')
}
