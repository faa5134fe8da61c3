import type { Finding } from '../finding.ts'
import { isInEnvironment, type Look } from '../project/project-check.ts'
import { type JsonObject, readJsonWithComments } from './json-with-comments.ts'
import { startedBy } from './programs.ts'
import { isLoadedByCode, type LaunchFile, without, wrapped } from './without.ts'

/** Launch configurations of VS Code. It hands on its own environment; what only a `.env` has, a configuration must name. */
export function debuggers(look: Look, { path, text, needed }: LaunchFile): readonly Finding[] {
  if (needed.some((name) => isInEnvironment(look.context, name)) || isLoadedByCode(look)) return []
  const configurations = readJsonWithComments(path, text)?.['configurations']
  if (!Array.isArray(configurations)) return []
  return configurations
    .filter((one): one is JsonObject => typeof one === 'object' && one !== null)
    .filter((one) => lacksVariable(look, one, needed))
    .slice(0, 1)
    .map(({ name }) => {
      const line = text.slice(0, Math.max(0, text.indexOf(JSON.stringify(name)))).split('\n').length
      return without(
        { kind: 'file', path, line, name: needed[0] ?? 'OPENAI_API_KEY' },
        'A launch configuration starts the program by itself, and not with the command that loads .env.',
        `In ${path}:${line} write: "envFile": "\${workspaceFolder}/.env"`,
      )
    })
}

function lacksVariable(look: Look, configuration: JsonObject, needed: readonly string[]): boolean {
  const { type, request, envFile, env, program } = configuration
  if (request !== 'launch' || envFile !== undefined) return false
  const given = typeof env === 'object' && env !== null ? (env as JsonObject) : {}
  const name = needed.find((one) => one in given)
  // Its own environment has it not, so this is nothing, whatever else would load it.
  if (name !== undefined) return given[name] === '' || given[name] === `\${env:${name}}`
  // The debugger of Python loads the folder's .env unasked.
  if (type !== 'node' && type !== 'pwa-node') return false
  const words = [
    program,
    configuration['runtimeExecutable'],
    configuration['runtimeArgs'],
    configuration['args'],
  ]
    .flat()
    .filter((one): one is string => typeof one === 'string')
  const command = words.join(' ').replaceAll('${workspaceFolder}/', '')
  return !wrapped.test(command) && startedBy(look, command) !== undefined
}
