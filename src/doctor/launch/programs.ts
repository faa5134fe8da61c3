import { isAside } from '../project/aside.ts'
import { goesElsewhere } from '../project/elsewhere.ts'
import { type Look } from '../project/project-check.ts'
import type { ProjectFacts } from '../project/project-facts.ts'
import type { SourceText } from '../project/source-text.ts'
import { importsOf } from '../source/modules.ts'

const depthMax = 4

/** The names under which the program would take its key; empty: it takes none that can be seen. */
export function neededVariables(project: ProjectFacts): readonly string[] {
  const named = project.keyVariables
    .filter(({ place }) => place.kind === 'file' && !isAside(place.path))
    .map(({ value }) => value)
  return [...new Set(project.readsDefaultKey ? [...named, 'OPENAI_API_KEY'] : named)]
}

/** Whether the code of a file, or what it imports, works with a key of OpenAI that it takes from the environment. */
export function needsKey(project: ProjectFacts, source: SourceText, depth = depthMax): boolean {
  const isUser = project.clients.some((client) => {
    const key = client.options.find(({ name }) => name === 'apikey')?.value
    const isGiven = key !== undefined && (key.kind === 'literal' || key.kind === 'unknown')
    return (
      client.source === source &&
      !isGiven &&
      !/^(?:environment|header)/.test(client.name) &&
      !goesElsewhere(client)
    )
  })
  if (isUser || project.keyVariables.some(({ place }) => place.kind === 'file' && place.path === source.path))
    return true
  return (
    depth > 0 && importsOf(source, project.sources).some(({ target }) => needsKey(project, target, depth - 1))
  )
}

/** Whether the code loads a `.env` by itself, wherever it is started. */
export function loadsDotenv(project: ProjectFacts): boolean {
  return project.dotenv.loaders.some(
    ({ place }) => place.kind === 'file' && project.sources.some(({ path }) => path === place.path),
  )
}

/** Whether the code fetches its key at run time from a store of secrets. */
export function fetchesKey(project: ProjectFacts): boolean {
  return project.sources.some(({ text }) =>
    /secretmanager|secrets-manager|SecretsManager|\bssm\b|ParameterStore|keyvault|KeyVault|\bhvac\b|keyturn|infisical|doppler|google\.cloud import secret/i.test(
      text,
    ),
  )
}

/** The source that a command starts, where it names one that needs the key. */
export function startedBy(look: Look, command: string, depth = 2): SourceText | undefined {
  const { project, files } = look
  const text = command.slice(0, 2_000)
  const script = /\b(?:npm|pnpm|yarn|bun)\s+(?:run\s+)?([\w:.-]{1,60})/.exec(text)?.[1]
  const scripts = script === undefined || depth === 0 ? undefined : scriptsOf(files.read('package.json'))
  const resolved = script === undefined ? undefined : scripts?.[script]
  if (resolved !== undefined) return startedBy(look, resolved, depth - 1)
  const module = /\bpython[\d.]{0,5}\s+(?:-\w\s+){0,3}-m\s+([\w.]{1,100})/.exec(text)?.[1]
  const app = /\b(?:uvicorn|gunicorn|hypercorn)\b[^\n]{0,200}?\s([\w.]{1,80}):\w+/.exec(text)?.[1]
  const modulePath = (module ?? app)?.replaceAll('.', '/')
  const words = text.split(/[\s"'=;&|()]+/).map((word) => word.replace(/^\.\//, ''))
  const named = project.sources.filter(
    ({ path }) =>
      path === `${modulePath}.py` ||
      path === `${modulePath}/__main__.py` ||
      words.some((word) => isPathOf(word, path)),
  )
  return named.find((source) => !isAside(source.path) && needsKey(project, source))
}

/** A path from anywhere: `/srv/app/main.py` for `main.py`. */
function isPathOf(word: string, path: string): boolean {
  return word === path || (word.startsWith('/') && word.endsWith(`/${path}`)) || word.endsWith(`}/${path}`)
}

/** The commands of a package.json by their names. */
export function scriptsOf(text: string | undefined): Readonly<Record<string, string>> {
  try {
    const { scripts } = JSON.parse(text ?? '{}') as { scripts?: unknown }
    if (typeof scripts !== 'object' || scripts === null) return {}
    return Object.fromEntries(
      Object.entries(scripts).filter((one): one is [string, string] => typeof one[1] === 'string'),
    )
  } catch {
    return {}
  }
}

/** Tests that work with the real key: they import what builds the client, and nothing in them stands in for it. */
export function testsNeedKey(project: ProjectFacts): boolean {
  const tests = project.sources.filter(({ path }) =>
    /(?:^|\/)(?:test_[^/]*|[^/]*_test)\.py$|\.(?:test|spec)\.[cm]?[jt]sx?$|(?:^|\/)tests?\//.test(path),
  )
  const isFaked = tests.some(({ text }) =>
    /mock|patch|monkeypatch|respx|responses\.|vcr|nock|msw|stub|fake|sandbox|OPENAI_API_KEY["'\]]*\s*\]?\s*=/i.test(
      text,
    ),
  )
  return !isFaked && tests.some((source) => needsKey(project, source))
}
