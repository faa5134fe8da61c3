import type { Check } from '../check.ts'
import type { Facts } from '../facts.ts'
import type { Finding } from '../finding.ts'
import { shellWord } from '../shell-word.ts'
import { meantAccountVariable } from './names.ts'
import { isReadByProject, type SetVariable, setVariables } from './variables.ts'
import { isSetIn } from './wording.ts'

/**
 * T39: an organisation or a project under a name that the libraries do not read. Those of OpenAI read OPENAI_ORG_ID and
 * OPENAI_PROJECT_ID (openai 7.55 for Node, 2.x for Python; November 2026).
 */
export const accountVariables: Check = {
  name: 'account-variables',
  needsNetwork: false,
  async run(facts, context) {
    return setVariables(facts, context).flatMap((variable) => {
      const meant = meantAccountVariable(variable.name)
      const isRight = meant === 'OPENAI_ORG_ID' ? facts.organization : facts.project
      if (meant === undefined || isRight !== undefined) return []
      if (variable.file !== undefined && variable.file.loaders.length === 0) return []
      const isRead =
        isReadByProject(variable.name, { facts, files: context.files }) ||
        isReadByLibrary(variable.name, facts)
      return isRead ? [] : [finding(variable, meant)]
    })
  },
}

/** LangChain and LiteLLM read `OPENAI_ORGANIZATION`, and so did `openai` for Python before 1.0. */
function isReadByLibrary(name: string, facts: Facts): boolean {
  if (name !== 'OPENAI_ORGANIZATION') return false
  return (facts.scan?.libraries ?? []).some(
    (library) =>
      /langchain|litellm/i.test(library.name) ||
      (library.ecosystem === 'python' && library.name === 'openai' && isBeforeOne(library)),
  )
}

function isBeforeOne({
  installed,
  wanted,
}: {
  readonly installed?: string
  readonly wanted: string
}): boolean {
  return installed === undefined
    ? /(?:==|~=|<=?)\s*[01]\.\d/.test(wanted) && !/==\s*1/.test(wanted)
    : installed.startsWith('0.')
}

function finding({ name, place }: SetVariable, meant: string): Finding {
  return {
    code: 'account_variable_misnamed',
    severity: 'warning',
    seen: `${isSetIn(place)} is set, and ${meant} is not.`,
    cause: `The libraries read ${meant} only, so calls go to the key's own ${meant === 'OPENAI_ORG_ID' ? 'organisation' : 'project'}.`,
    fix:
      place.kind === 'file'
        ? `sed -i.bak '${place.line ?? 1}s/${name}/${meant}/' ${shellWord(place.path)} && rm ${shellWord(`${place.path}.bak`)}`
        : `Rename it where it is set for good, and here:\nexport ${meant}="$${name}" && unset ${name}`,
    place,
  }
}
