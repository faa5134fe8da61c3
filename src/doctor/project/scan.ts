import { inspectKeyShape } from '../../core/key-inspection.ts'
import { Secret } from '../../core/secret.ts'
import type { KeyPlace, Setting } from '../facts.ts'
import { isAside, isInAside } from './aside.ts'
import { clientCalls, placeOf } from './client-calls.ts'
import { dotenvLoaders } from './dotenv-loaders.ts'
import { goesElsewhere } from './elsewhere.ts'
import type { ProjectFiles } from './files.ts'
import { isKeyName } from './key-names.ts'
import { findLibraries, projectKinds } from './libraries.ts'
import { codeOfNotebook } from './notebook.ts'
import type { Reading } from './option-value.ts'
import type { ClientCall, ProjectFacts } from './project-facts.ts'
import { type Language, languageOf, readSource, type SourceText } from './source-text.ts'
import { beforeLiteral, variableUses } from './variable-reads.ts'

/** Of all sources together; what is beyond is left out, so that the work stays bounded whatever the folder holds. */
const scannedCharactersMax = 48 * 1_048_576

/** What a file must mention to be of interest. */
const related =
  /openai|open_ai|dotenv|api[_-]?key|loadEnv|read_env|env_file|\bsk-[A-Za-z0-9]|davinci|gpt-[34]|process\.env|os\.environ|getenv/i

/** Reads the sources and manifests once. Rejects for nothing: what cannot be read is left out. */
export async function scanProject(files: ProjectFiles): Promise<ProjectFacts> {
  const sources = readSources(files)
  const readings = sources.map((source) => ({ source, uses: variableUses(source) }))
  const clients = readings.flatMap(clientCalls)
  const libraries = findLibraries(files)
  // What the program itself does, not its tests and examples.
  const ownSources = sources.filter(({ path }) => !isAside(path))
  const own = clients.filter((client) => ownSources.includes(client.source) && !goesElsewhere(client))
  const reads = readings.filter(({ source }) => ownSources.includes(source)).flatMap(readsOf)
  const keyVariables = [...variablesOf(own), ...reads.filter(({ value }) => isKeyName(value))]
  return {
    kinds: projectKinds(files.list().filter((path) => files.isIgnored(path) !== true && !isInAside(path))),
    isModule: /"type"\s{0,9}:\s{0,9}"module"/.test(files.read('package.json') ?? ''),
    sources,
    clients,
    keys: ownSources.flatMap((source) => keysOf(source, own)),
    baseUrls: settingsOf(own, 'baseurl'),
    models: ownSources.flatMap(modelsOf),
    reads,
    keyVariables: distinct(keyVariables),
    readsDefaultKey:
      keyVariables.some(({ value }) => value === 'OPENAI_API_KEY') || own.some(takesDefaultKey),
    dotenv: { loaders: dotenvLoaders(files, sources, libraries) },
    libraries,
  }
}

interface Read {
  readonly path: string
  readonly language: Language
  readonly text: string
}

/** The sources that mention what is looked for, and those that import one of them. */
function readSources(files: ProjectFiles): readonly SourceText[] {
  const all = readAll(files)
  const mentioning = all.filter(({ text }) => related.test(text))
  const modules = new Set(mentioning.map(({ path }) => moduleName(path)))
  const importing = all.filter(
    (one) => !related.test(one.text) && importedWords(one.text).some((word) => modules.has(word)),
  )
  return [...mentioning, ...importing].map(({ path, language, text }) =>
    readSource(path, language, path.endsWith('.ipynb') ? codeOfNotebook(text) : text),
  )
}

function readAll(files: ProjectFiles): readonly Read[] {
  const found: Read[] = []
  let characters = 0
  for (const path of files.list()) {
    const language = languageOf(path)
    if (language === undefined || files.isIgnored(path) === true) continue
    const text = files.read(path)
    if (text === undefined || isSqueezed(text)) continue
    characters += text.length
    if (characters > scannedCharactersMax) break
    found.push({ path, language, text })
  }
  return found
}

/** What imports call a file: by its own name, or by that of its folder. */
function moduleName(path: string): string {
  const [name = '', folder = ''] = path.split('/').toReversed()
  const stem = name.replace(/\..*$/, '')
  return stem === 'index' || stem === '__init__' ? folder : stem
}

function importedWords(text: string): readonly string[] {
  const lines = text.matchAll(
    /^[ \t]{0,40}(?:from|import|export)\b[^\n]{0,200}|\}\s{0,5}from\b[^\n]{0,200}|\brequire\([^\n]{0,100}/gm,
  )
  return Array.from(lines).flatMap(([line]) => line.split(/[^\w-]+/))
}

/** Written by a bundler: nobody edits lines this long. */
function isSqueezed(text: string): boolean {
  return text.length > 20_000 && text.length / (text.split('\n').length + 1) > 500
}

function readsOf({ source, uses }: Reading): readonly Setting[] {
  return uses
    .filter((use) => !use.isWrite)
    .map((use) => ({ value: use.name, place: placeOf(source, use.start, use.name) }))
}

function variablesOf(clients: readonly ClientCall[]): readonly Setting[] {
  return clients
    .flatMap(({ options }) => options)
    .flatMap(({ name, value, place }) =>
      name === 'apikey' && value.kind === 'variable' ? [{ value: value.name, place }] : [],
    )
}

function takesDefaultKey(client: ClientCall): boolean {
  const key = client.options.find(({ name }) => name === 'apikey')
  const isBuilt = !/^(?:openai|environment|header)/.test(client.name)
  return isBuilt && (key === undefined || key.value.kind === 'nothing')
}

function settingsOf(clients: readonly ClientCall[], option: string): readonly Setting[] {
  return clients
    .flatMap(({ options }) => options)
    .flatMap(({ name, value, place }) =>
      name === option && value.kind === 'literal' ? [{ value: value.text, place }] : [],
    )
}

function distinct(settings: readonly Setting[]): readonly Setting[] {
  return [...new Map(settings.map((one) => [JSON.stringify(one), one])).values()]
}

const keyName =
  /(?:^|[^A-Za-z0-9])\w{0,30}?open_?ai_?(?:api_?)?(?:key|token|secret)\w{0,10}\s{0,9}(?::\s{0,9}\w{1,20}\s{0,9})?(?:=|:|=>)\s{0,9}$/i

/** What is handed to a client, assigned to a name that says so, or has the shape of a key, once each. */
function keysOf(source: SourceText, clients: readonly ClientCall[]): readonly KeyPlace[] {
  const ofClients = clients
    .filter((client) => client.source === source)
    .flatMap(({ options }) => options)
    .flatMap(({ name, value, place }) =>
      name === 'apikey' && value.kind === 'literal' ? [{ place, text: new Secret(value.text) }] : [],
    )
  const ofLiterals = source.literals
    .filter(
      (literal) =>
        isKey(literal.value) || (isKeyLike(literal.value) && keyName.test(beforeLiteral(source, literal))),
    )
    .map((literal) => ({ place: placeOf(source, literal.start), text: new Secret(literal.value) }))
  const [texts, places]: [Secret[], KeyPlace[]] = [[], []]
  for (const found of [...ofClients, ...ofLiterals]) {
    if (texts.some((text) => text.equals(found.text))) continue
    texts.push(found.text)
    places.push(found)
  }
  return places
}

/** `OPENAI_API_KEY: 'apikey'` names an option, `openaiKeyName = 'openai-key'` a secret: their names alone make them no keys. */
function isKeyLike(text: string): boolean {
  return inspectKeyShape(text).core !== 'unknown_shape'
}

function isKey(text: string): boolean {
  if (text.length < 40 || text.length > 400 || !text.startsWith('sk-')) return false
  return /^(?:project|service_account|admin|legacy_user)$/.test(inspectKeyShape(text).kind)
}

const modelName =
  /^(?:ft:)?(?:gpt-(?!oss|neo|j\b)|chatgpt-|o[1-9](?:-|$)|text-(?:embedding|davinci|curie|babbage|ada|moderation)-|omni-moderation|whisper-|tts-|dall-e-|davinci|curie|babbage|code-davinci|code-cushman|computer-use-|codex-|sora-)[\w.:-]{0,100}$/
const modelOption =
  /\b(?:model|engine|model_?name|\w{1,30}_?model)\s{0,9}(?::\s{0,9}\w{1,20}\s{0,9}=|:=|=|:)\s{0,9}$/i

function modelsOf(source: SourceText): readonly Setting[] {
  const named = source.literals
    .filter((literal) => modelName.test(literal.value) && isModelOption(source, literal.start))
    .map((literal) => ({ value: literal.value, place: placeOf(source, literal.start, 'model') }))
  return source.language === 'shell' ? [...named, ...modelsInBodies(source)] : named
}

/** The body of a call that a script of the shell writes out, for curl or through jq. */
const modelInBody = /\bmodel\\?["']?\s{0,9}:\s{0,9}\\?["']([\w.:-]{2,100})\\?["']/g

function modelsInBodies(source: SourceText): readonly Setting[] {
  return source.literals.flatMap((literal) => {
    const end = literal.start + literal.value.length
    return Array.from(source.text.slice(literal.start, end).matchAll(modelInBody), (match) => ({
      value: match[1] ?? '',
      place: placeOf(source, literal.start + match.index, 'model'),
    })).filter(({ value }) => modelName.test(value))
  })
}

/** `model="…"`, and `"model": "…"` of a body that is written by hand. */
function isModelOption(source: SourceText, start: number): boolean {
  const before = source.bare.slice(Math.max(0, start - 80), start)
  return (
    modelOption.test(before) ||
    /["']model["']\s{0,9}[:=]>?\s{0,9}$/.test(source.text.slice(Math.max(0, start - 40), start))
  )
}
