import type { Check } from '../check.ts'
import type { DoctorContext } from '../context.ts'
import type { Facts } from '../facts.ts'
import type { Finding } from '../finding.ts'
import { keyNames, keyVariable } from '../gather.ts'
import { type Platform, platformOf } from './platforms.ts'

/** T01, or T30 where a platform is what sets variables: no key was found anywhere. */
export const missing: Check = {
  name: 'missing',
  needsNetwork: false,
  async run(facts, context) {
    if (facts.keys.length > 0 || !needsKey(facts)) return []
    const platform = platformOf(context.env)
    return [platform === undefined ? nowhere(facts, context) : unset(platform, context)]
  },
}

/** Not where Keyturn's stores hold it, or the program asks somebody else for it. */
function needsKey(facts: Facts): boolean {
  if ((facts.keyturn?.credentials.length ?? 0) > 0) return false
  if (facts.dotenv.some(({ variables }) => variables.some(isReferenceOfKey))) return false
  const { scan } = facts
  if (scan === undefined || scan.clients.length === 0 || scan.keyVariables.length > 0) return true
  if (scan.clients.every(({ name }) => /azure/i.test(name))) return false
  return scan.readsDefaultKey || !scan.sources.some(({ text }) => keepers.test(text))
}

const keepers =
  /keyturn|secrets?[-_]?manager|SecretClient|keyvault|key-vault|hvac|node-vault|GetParameter|get_parameter|st\.secrets|userdata\.get|\/run\/secrets|AzureOpenAI|azure_endpoint|get_bearer_token_provider/i

function isReferenceOfKey({
  name,
  isReference,
}: {
  readonly name: string
  readonly isReference: boolean
}): boolean {
  return name === keyVariable && isReference
}

function nowhere(facts: Facts, { env, files }: DoctorContext): Finding {
  const names = keyNames(facts.scan)
  const listed = files.list()
  const dotenv = facts.dotenv.slice(0, 5).map(({ path, variables }) => {
    const isEmpty = variables.some(({ name }) => names.includes(name))
    return `${path} (${isEmpty ? 'it is empty there' : 'not in it'})`
  })
  const looked = [
    `the environment (${names.map((name) => `${name} is ${env[name] === undefined ? 'not set' : 'empty'}`).join(', ')})`,
    ...(dotenv.length === 0 ? ['.env (there is none)'] : dotenv),
    ...(listed.length === 0 ? [] : [`the source (${listed.length} file${listed.length === 1 ? '' : 's'})`]),
    'a keyturn.yaml (there is none)',
  ]
  return {
    code: 'key_missing',
    severity: 'error',
    seen: `Looked in ${looked.join(', ')}.`,
    cause: 'No key was given to the program, so the library refuses before anything is sent.',
    fix: setKey(facts),
    place: { kind: 'variable', name: keyVariable },
  }
}

function setKey(facts: Facts): string {
  const make = 'Make one at https://platform.openai.com/api-keys, then type the command,'
  const loaded = facts.scan?.dotenv.loaders.some(({ path }) => path === undefined) === true
  return loaded
    ? `${make} paste it, then Enter (keep .env out of git):\nread -rs KEY && printf '${keyVariable}=%s\\n' "$KEY" >> .env && unset KEY`
    : `${make} paste it, then Enter:\nread -rs ${keyVariable} && export ${keyVariable}`
}

function unset({ title, variables, fix }: Platform, { env }: DoctorContext): Finding {
  const mark = variables.find((name) => (env[name] ?? '') !== '') ?? ''
  return {
    code: 'platform_variable_missing',
    severity: 'error',
    seen: `This runs on ${title} (${mark} is set), and ${keyVariable} is ${env[keyVariable] === undefined ? 'not set' : 'empty'}.`,
    cause: `${title} gives a program only the variables that are configured there; those of a laptop's shell or .env do not come along.`,
    fix,
    place: { kind: 'variable', name: keyVariable },
  }
}
