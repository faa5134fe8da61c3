import { looksLikeKey } from '../../core/key-shape.ts'
import type { Check } from '../check.ts'
import type { Finding } from '../finding.ts'
import { keyVariable } from '../gather.ts'
import { shellWord } from '../shell-word.ts'
import { isPublicName, isTaken, nearMiss } from './names.ts'
import { inspectKey } from './used-keys.ts'
import { isReadByProject, type SetVariable, setVariables } from './variables.ts'
import { isSetIn, lineOf } from './wording.ts'

/** T02: a key under a name that nothing reads. And T29: one under a name that bundlers hand to browsers. */
export const misnamed: Check = {
  name: 'misnamed',
  needsNetwork: false,
  async run(facts, context) {
    const variables = setVariables(facts, context).filter(({ name }) => isTellable(name))
    // A literal in the source is nobody's variable.
    const isFound = facts.key !== undefined && facts.scan?.keys.includes(facts.key) !== true
    const isNamed = isFound || variables.some(({ name }) => name === keyVariable)
    // A configuration that cannot be read may well name it.
    const isReadable = (facts.keyturn?.problems ?? []).length === 0
    return variables.flatMap((variable) => {
      const isRead = isReadByProject(variable.name, { facts, files: context.files })
      if (isPublicName(variable.name) && inspectKey(variable).isOpenAi && (isNamed || isRead))
        return [inBrowser(variable)]
      return isReadable && !isNamed && !isRead && isMisnamed(variable) ? [renamed(variable)] : []
    })
  },
}

/** What a broken line makes a name of may be a key. */
function isTellable(name: string): boolean {
  return name.length <= 60 && /^[A-Za-z_][\w.-]*$/.test(name) && !looksLikeKey(name)
}

function isMisnamed(variable: SetVariable): boolean {
  const miss = nearMiss(variable.name)
  const { core, isOpenAi } = inspectKey(variable)
  if (miss === 'likely') return core !== 'other_provider'
  // No other vendor's key begins like these, so any name with one is a name for it.
  return isOpenAi && !isTaken(variable.name) && (miss === 'possible' || core !== 'legacy_user')
}

function renamed(variable: SetVariable): Finding {
  const { name, place, text } = variable
  const isPublic = isPublicName(name)
  return {
    code: 'variable_misnamed',
    severity: 'error',
    seen: `${isSetIn(place)} is set (${text.length} characters), and ${keyVariable} is not.`,
    cause: isPublic
      ? `The libraries read ${keyVariable} only, and what begins like ${name} is put into the pages that browsers load.`
      : `The libraries read ${keyVariable} only, and nothing in the project reads ${name}.`,
    fix: `${isPublic ? 'Call OpenAI from the server only, and rotate the key if it was deployed.\n' : ''}${rename(variable)}`,
    place,
  }
}

function rename({ name, place }: SetVariable): string {
  if (place.kind === 'file')
    return `sed -i.bak '${place.line ?? 1}s/${name}/${keyVariable}/' ${shellWord(place.path)} && rm ${shellWord(`${place.path}.bak`)}`
  return `Rename it where it is set for good, and here:\nexport ${keyVariable}="$${name}" && unset ${name}`
}

function inBrowser(variable: SetVariable): Finding {
  const { name, place } = variable
  return {
    code: 'key_in_browser',
    severity: 'error',
    seen: `${isSetIn(place)} holds an OpenAI key of ${variable.text.length} characters.`,
    cause: `Bundlers put what begins like ${name} into the pages that they build, where everybody can read it.`,
    fix: `Read ${keyVariable} on the server and call OpenAI from there, take ${name} out (${place.kind === 'file' ? lineOf(place) : 'the environment'}), and make a new key if it was ever deployed: https://platform.openai.com/api-keys`,
    place,
  }
}
