import { Secret } from '../../core/secret.ts'
import type { DoctorContext } from '../context.ts'
import type { DotenvFile, Facts, KeyPlace } from '../facts.ts'
import type { ProjectFiles } from '../project/files.ts'
import { placeIn } from './used-keys.ts'

/** A variable that is set somewhere. */
export interface SetVariable extends KeyPlace {
  readonly name: string
  readonly file?: DotenvFile
}

/** Everything that the environment and dotenv files set to something, the environment first. */
export function setVariables(facts: Facts, { env }: Pick<DoctorContext, 'env'>): readonly SetVariable[] {
  const ofEnvironment = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || value.trim() === ''
      ? []
      : [{ name, text: new Secret(value), place: { kind: 'variable', name } as const }],
  )
  const ofFiles = facts.dotenv.flatMap((file) =>
    file.variables
      .filter(({ text, isReference }) => text.length > 0 && !isReference)
      .map((variable) => ({
        name: variable.name,
        text: variable.text,
        place: placeIn(file, variable),
        file,
      })),
  )
  return [...ofEnvironment, ...ofFiles]
}

/** Whether the project itself reads the name and passes it on: then it is no mistake. */
export function isReadByProject(
  name: string,
  { facts, files }: { readonly facts: Facts; readonly files: ProjectFiles },
): boolean {
  if (facts.scan?.reads.some(({ value }) => value === name) === true) return true
  const word = new RegExp(`(?<![A-Za-z0-9_])${escaped(name)}(?![A-Za-z0-9_])`, 'i')
  // Settings classes write the name in lower case.
  const isInSource = (facts.scan?.sources ?? []).some(
    ({ text }) => word.test(text) && (text.includes(name) || settings.test(text)),
  )
  return isInSource || isPassedOn(name, files)
}

const settings = /BaseSettings|pydantic_settings|envalid|createEnv|env-var|convict|viper|envconfig|decouple/
const manifests =
  /\.(?:ya?ml|sh|toml|service)$|(?:^|\/)(?:Dockerfile[\w.-]*|Makefile|justfile|Procfile|\.envrc|package\.json)$/i

/** `${NAME}`, `$NAME`, `secrets.NAME`, `key: NAME` in what starts the program. */
function isPassedOn(name: string, files: ProjectFiles): boolean {
  const passed = new RegExp(
    String.raw`(?:\$\{?|secrets\.|vars\.|env\.|key:\s{0,5}["']?)${escaped(name)}(?![A-Za-z0-9_])`,
  )
  return files
    .list()
    .filter((path) => manifests.test(path))
    .some((path) => passed.test(files.read(path) ?? ''))
}

function escaped(name: string): string {
  return name.replaceAll(/\W/g, String.raw`\$&`)
}
