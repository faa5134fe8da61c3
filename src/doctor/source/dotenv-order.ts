import { describePlace, type Finding, type Place } from '../finding.ts'
import { isAside } from '../project/aside.ts'
import { callNames, dotenvCalls } from '../project/dotenv-loaders.ts'
import { isKeyName } from '../project/key-names.ts'
import { isInEnvironment, type Look, projectCheck } from '../project/project-check.ts'
import type { DotenvLoader, ProjectFacts } from '../project/project-facts.ts'
import type { SourceText } from '../project/source-text.ts'
import { variableUses } from '../project/variable-reads.ts'
import { importsOf, isAtTopLevel, type ModuleImport } from './modules.ts'

/** Calls that load, as opposed to frameworks and settings classes that load when they are asked. */
const loaders = new Set(['dotenv', 'python-dotenv', 'loadEnvFile', 'godotenv', 'dotenvy'])
const importedLoader = /^(?:dotenv\/(?:config|load)(?:\.js)?|@dotenvx\/dotenvx\/config)$/
/** From file to file. */
const depthMax = 4

/** A `.env` that is loaded after the key was read. Where the environment has the key already, nothing is late. */
export const dotenvOrder = projectCheck('order of dotenv', (look) => {
  const { project } = look
  if (isInEnvironment(look.context, 'OPENAI_API_KEY') || project.dotenv.loaders.some(isEarly)) return []
  return project.sources.filter((source) => !isAside(source.path)).flatMap((source) => lateIn(look, source))
})

/** Flags and frameworks load before any code runs; classes of settings load when they are asked. */
function isEarly({ name }: DotenvLoader): boolean {
  return !loaders.has(name) && !importedLoader.test(name) && !callNames.has(name)
}

function lateIn({ project }: Look, source: SourceText): readonly Finding[] {
  const load = firstLoad(source)
  if (load === undefined) return []
  const imports = importsOf(source, project.sources)
  const before = (one: ModuleImport) => (one.isHoisted && !load.isHoisted) || one.start < load.start
  // A module that loads it, imported before: nothing is late.
  if (imports.some((one) => before(one) && loadsWithin(project, one.target, depthMax))) return []
  const own = needsIn(project, source).find(({ start }) => start < load.start && !load.isHoisted)
  if (own !== undefined) return [late(source, load, `${own.what} in line ${source.lineAt(own.start)}`)]
  const imported = imports.filter(before).flatMap((one) => {
    const need = needWithin(project, one.target, depthMax)
    return need === undefined ? [] : [{ one, need }]
  })[0]
  if (imported === undefined || (keepsOrder(project, source) && imported.one.start > load.start)) return []
  const line = source.lineAt(imported.one.start)
  return [late(source, load, `line ${line} imports ${imported.one.target.path}, which ${imported.need}`)]
}

interface Load {
  readonly start: number
  readonly isHoisted: boolean
}

/** The first place of the file that loads a `.env`; an import does so before the file's own code, whatever line it is in. */
function firstLoad(source: SourceText): Load | undefined {
  const found = dotenvCalls(source)
    .filter(({ name }) => loaders.has(name) || importedLoader.test(name))
    .map(({ name, place }) => ({
      start: startOf(source, place),
      isHoisted: importedLoader.test(name) && isImport(source, place),
    }))
  return (
    found.find(({ isHoisted }) => isHoisted) ?? found.toSorted((left, right) => left.start - right.start)[0]
  )
}

function startOf(source: SourceText, place: Place): number {
  const line = place.kind === 'file' ? (place.line ?? 1) : 1
  let start = 0
  for (let at = 1; at < line; at += 1) start = source.text.indexOf('\n', start) + 1
  return start
}

function isImport(source: SourceText, place: Place): boolean {
  const start = startOf(source, place)
  return /^\s*import\b/.test(source.text.slice(start, start + 100))
}

interface Need {
  readonly start: number
  readonly what: string
}

/** Where the file needs the key as it is loaded itself, and not only when one of its functions is called. */
function needsIn(project: ProjectFacts, source: SourceText): readonly Need[] {
  const built = project.clients
    .filter((client) => client.source === source && !/^(?:environment|header)/.test(client.name))
    .filter(({ options, name }) => {
      const key = options.find((option) => option.name === 'apikey')?.value
      return key === undefined ? name !== 'openai' : key.kind === 'variable' || key.kind === 'nothing'
    })
    .map(({ start, name }) => ({ start, what: `builds ${name}` }))
  const read = variableUses(source)
    .filter(({ name, isWrite }) => !isWrite && isKeyName(name))
    .map(({ start, name }) => ({ start, what: `reads ${name}` }))
  return [...built, ...read]
    .filter(({ start }) => isAtTopLevel(source, start))
    .toSorted((left, right) => left.start - right.start)
}

function needWithin(project: ProjectFacts, source: SourceText, depth: number): string | undefined {
  // It loads by itself, and whether it does so in time is told at its own place.
  if (firstLoad(source) !== undefined) return undefined
  const own = needsIn(project, source)[0]
  if (own !== undefined) return own.what
  if (depth === 0) return undefined
  for (const { target } of importsOf(source, project.sources)) {
    const need = needWithin(project, target, depth - 1)
    if (need !== undefined) return need
  }
  return undefined
}

function loadsWithin(project: ProjectFacts, source: SourceText, depth: number): boolean {
  if (firstLoad(source) !== undefined) return true
  return (
    depth > 0 &&
    importsOf(source, project.sources).some(({ target }) => loadsWithin(project, target, depth - 1))
  )
}

/** TypeScript that becomes CommonJS keeps its imports where they stand; only modules hoist them. */
function keepsOrder(project: ProjectFacts, source: SourceText): boolean {
  return /\.tsx?$/.test(source.path) && !project.isModule
}

function late(source: SourceText, load: Load, why: string): Finding {
  const place = { kind: 'file', path: source.path, line: source.lineAt(load.start) } as const
  const isPython = source.language === 'python'
  return {
    code: 'dotenv_too_late',
    severity: 'error',
    seen: `${describePlace(place)} loads .env, but ${why}, before that.`,
    cause: 'The key is read before .env is loaded, so the client finds none.',
    fix: isPython
      ? `In ${source.path} move 'from dotenv import load_dotenv; load_dotenv()' above all other imports.`
      : `In ${source.path} make import 'dotenv/config' the first line, or start with: node --env-file=.env ${source.path}`,
    place,
  }
}
