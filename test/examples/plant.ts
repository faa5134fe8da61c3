import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { type Manifest, manifestFile, type Project, projectNamed } from './manifest.ts'
import { fillMarkers, type Marker, makeValue, markersIn, type Values, valueName } from './markers.ts'

export interface Planted {
  readonly name: string
  readonly group: Project['group']
  /** The top of the project, and of its git repository. */
  readonly folder: string
  /** Where a doctor is to be started. */
  readonly cwd: string
  /** What a doctor is to find in its environment, besides what every process has. */
  readonly env: Readonly<Record<string, string>>
  /** Every value that was put in for a marker, by {@link valueName}. */
  readonly values: Values
  /** With values in place of markers. */
  readonly manifest: Manifest
}

/**
 * Copies a project of examples/broken or examples/healthy to a folder that is absent or empty, puts values in place
 * of its markers, and commits to git what its .gitignore lets through. Values that are not given are made.
 */
export async function plant(name: string, folder: string, given: Values = {}): Promise<Planted> {
  const project = projectNamed(name)
  await refuseFull(folder)
  const values = { ...valuesFor(markersOf(project)), ...given }
  for (const file of storedFiles(project)) {
    const target = join(folder, plantedPath(file))
    const source = join(project.source, file)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, fillMarkers(await readFile(source, 'utf8'), values))
    await chmod(target, (await stat(source)).mode & 0o777)
  }
  await commit(folder)
  const manifest = JSON.parse(fillMarkers(JSON.stringify(project.manifest), values)) as Manifest
  return {
    name,
    group: project.group,
    folder,
    cwd: join(folder, manifest.cwd ?? '.'),
    env: manifest.env,
    values,
    manifest,
  }
}

/** Every marker of a project, in its files and in its environment. */
export function markersOf(project: Project): readonly Marker[] {
  const texts = storedFiles(project).map((file) => readFileSync(join(project.source, file), 'utf8'))
  return [...texts, JSON.stringify(project.manifest)].flatMap(markersIn)
}

/** What git has of a planted project, from its top. */
export async function trackedFiles(folder: string): Promise<readonly string[]> {
  return (await git(folder, ['ls-files', '-z'])).split('\0').filter(Boolean)
}

/**
 * Files whose names begin with a dot are stored with `dot.` in front, since a `.gitignore` would act on this
 * repository and an `.env` be ignored by it; what is in node_modules is in installed_modules.
 */
function plantedPath(stored: string): string {
  return stored
    .split('/')
    .map((part) => (part === 'installed_modules' ? 'node_modules' : part.replace(/^dot(?=\.)/, '')))
    .join('/')
}

function storedFiles(project: Project): readonly string[] {
  return readdirSync(project.source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== manifestFile)
    .map((entry) => relative(project.source, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort()
}

function valuesFor(markers: readonly Marker[]): Values {
  const kinds = new Map(markers.map((marker) => [valueName(marker), marker.kind]))
  return Object.fromEntries([...kinds].map(([name, kind]) => [name, makeValue(kind)]))
}

async function refuseFull(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  if ((await readdir(folder)).length > 0)
    throw new RangeError(`${folder} is not empty. Name a folder that is empty or not there yet.`)
}

async function commit(folder: string): Promise<void> {
  await git(folder, ['init', '--quiet', '--initial-branch=main'])
  await git(folder, ['add', '--all'])
  await git(folder, [
    '-c',
    'user.name=Somebody',
    '-c',
    'user.email=somebody@example.com',
    'commit',
    '-qm',
    'Start',
  ])
}

const run = promisify(execFile)

/** Apart from the git that it may be called by, and from what the person's own settings say. */
async function git(cwd: string, args: readonly string[]): Promise<string> {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'))
  const env = { ...Object.fromEntries(own), GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' }
  return (await run('git', args, { cwd, env })).stdout
}
