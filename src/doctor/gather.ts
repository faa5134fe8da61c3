import { Secret } from '../core/secret.ts'
import type { DoctorContext } from './context.ts'
import { type OpenDotenvFile, openDotenvFiles } from './dotenv/files.ts'
import type { Facts, KeyPlace, Setting } from './facts.ts'
import { scanProject } from './project/scan.ts'

/** The name under which every library of OpenAI looks for its key. */
export const keyVariable = 'OPENAI_API_KEY'

/** Stands for a variable where the key came with `--key-file`. */
export const givenKey = 'the given key'

/** The names under which the program looks for its key; those that its source writes out come first. */
export function keyNames(scan: Facts['scan']): readonly string[] {
  return [...new Set([...(scan?.keyVariables ?? []).map(({ value }) => value), keyVariable])]
}

/** Reads the environment, the dotenv files and the project once, and says what the program would use. */
export async function gather(
  context: DoctorContext,
  scanner: typeof scanProject = scanProject,
): Promise<Facts> {
  const { env, files, options } = context
  const [scan, keyturn] = await Promise.all([scanner(files), context.keyturn()])
  const opened = openDotenvFiles({
    files,
    env,
    loaders: scan.dotenv.loaders,
    usualDialect: scan.kinds[0] === 'python' ? 'python' : 'dotenv',
  })
  const names = keyNames(scan)
  const used = names.map((name) => lookUp(name, { env, opened })).find((found) => found !== undefined)
  const found: KeyPlace[] = [
    ...names.flatMap((name) => fromEnvironment(name, env)),
    ...opened.flatMap(({ file }) =>
      file.variables
        .filter(({ name, text, isReference }) => names.includes(name) && text.length > 0 && !isReference)
        .map(({ name, meant, line, column }) => ({
          place: { kind: 'file' as const, path: file.path, line, column, name },
          text: meant,
        })),
    ),
    ...scan.keys,
    ...storedKeys(keyturn),
  ]
  const key = used === undefined ? (scan.keys[0] ?? storedKeys(keyturn)[0]) : keyAt(used)
  // A key out of a store goes to the address of its credential, and nowhere else.
  const owner = keyturn?.credentials.find(
    ({ stored }) => stored.kind === 'found' && stored.secret === key?.text,
  )
  const setting = (name: string, value?: string): Setting | undefined =>
    owner === undefined
      ? settingAt(lookUp(name, { env, opened }))
      : value === undefined
        ? undefined
        : { value, place: { kind: 'credential', name: owner.name, store: owner.store } }
  return {
    key,
    keys: found,
    baseUrl:
      setting('OPENAI_BASE_URL', owner?.baseUrl) ?? (key === undefined ? configuredUrl(keyturn) : undefined),
    organization: setting('OPENAI_ORG_ID', owner?.expectation.organization),
    project: setting('OPENAI_PROJECT_ID', owner?.expectation.project),
    models:
      options.model === undefined
        ? scan.models
        : [{ value: options.model, place: { kind: 'variable', name: '--model' } }],
    dotenv: opened.map(({ file }) => file),
    scan,
    keyturn,
  }
}

type Sources = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly opened: readonly OpenDotenvFile[]
}
type Found = { readonly value: string; readonly place: Setting['place'] }

/**
 * What a variable is to the program. What the environment has wins, were it empty, unless a loader was told to override it;
 * a file that nobody loads does not count.
 */
function lookUp(name: string, { env, opened }: Sources): Found | undefined {
  const holders = opened.filter(({ file, values }) => file.loaders.length > 0 && name in values)
  const overriding = holders.find(({ file }) => file.loaders.some(({ overrides }) => overrides))
  const value = env[name]
  if (value !== undefined && overriding === undefined)
    return value.trim() === '' ? undefined : { value, place: { kind: 'variable', name } }
  const holder = overriding ?? holders.find(({ values }) => values[name] !== '')
  const held = holder?.values[name] ?? ''
  const variable = holder?.file.variables.findLast((one) => one.name === name)
  if (holder === undefined || variable === undefined || held.trim() === '' || variable.isReference)
    return undefined
  const { line, column } = variable
  return { value: held, place: { kind: 'file', path: holder.file.path, line, column, name } }
}

function fromEnvironment(name: string, env: Sources['env']): readonly KeyPlace[] {
  const value = env[name]
  return value === undefined || value.trim() === ''
    ? []
    : [{ place: { kind: 'variable', name }, text: new Secret(value) }]
}

function keyAt({ value, place }: Found): KeyPlace {
  return { place, text: new Secret(value) }
}

/** The libraries take white space off these, and take an empty one for none. */
function settingAt(found: Found | undefined): Setting | undefined {
  return found === undefined ? undefined : { value: found.value.trim(), place: found.place }
}

/** Where a key would go that the stores do not have yet, or do not give: nobody calls OpenAI's own address then. */
function configuredUrl(keyturn: Facts['keyturn']): Setting | undefined {
  const [first, ...others] = (keyturn?.credentials ?? []).filter(({ baseUrl }) => baseUrl !== '')
  if (first === undefined || others.some(({ baseUrl }) => baseUrl !== first.baseUrl)) return undefined
  return { value: first.baseUrl, place: { kind: 'credential', name: first.name, store: first.store } }
}

function storedKeys(keyturn: Facts['keyturn']): readonly KeyPlace[] {
  return (keyturn?.credentials ?? []).flatMap(({ name, store, stored }) =>
    stored.kind === 'found'
      ? [{ place: { kind: 'credential' as const, name, store }, text: stored.secret }]
      : [],
  )
}
