import { redactKeys } from '../../core/key-shape.ts'
import type { Check } from '../check.ts'
import type { DoctorContext } from '../context.ts'
import type { Facts } from '../facts.ts'
import type { Finding } from '../finding.ts'
import type { ProjectFiles } from './files.ts'
import type { ProjectFacts } from './project-facts.ts'

/** What a check of the project's own files works from. */
export interface Look {
  readonly project: ProjectFacts
  readonly facts: Facts
  readonly files: ProjectFiles
  readonly context: DoctorContext
}

/** A check of files: it needs no network, and has nothing to say where no project was looked at. */
export function projectCheck(
  name: string,
  look: (at: Look) => readonly Finding[] | Promise<readonly Finding[]>,
): Check {
  return {
    name,
    needsNetwork: false,
    run: async (facts, context) =>
      facts.scan === undefined
        ? []
        : (await look({ project: facts.scan, facts, files: context.files, context })).map(withoutKeys),
  }
}

/** Names come from files of strangers, and somebody may have put a key into one. */
function withoutKeys(finding: Finding): Finding {
  const { seen, cause, fix, place } = finding
  const texts = { seen: redactKeys(seen), cause: redactKeys(cause), fix: redactKeys(fix) }
  if (place?.kind !== 'file') return { ...finding, ...texts }
  const name = place.name === undefined ? {} : { name: redactKeys(place.name) }
  return { ...finding, ...texts, place: { ...place, path: redactKeys(place.path), ...name } }
}

/** Whether the environment or a dotenv file, loaded or not, gives the variable a value. */
export function isSet({ facts, context }: Pick<Look, 'facts' | 'context'>, name: string): boolean {
  return isInEnvironment(context, name) || isInDotenv(facts, name)
}

export function isInEnvironment(context: DoctorContext, name: string): boolean {
  return (context.env[name] ?? '').trim() !== ''
}

export function isInDotenv(facts: Facts, name: string): boolean {
  return facts.dotenv.some(({ variables }) =>
    variables.some((variable) => variable.name === name && variable.text.length > 0),
  )
}
