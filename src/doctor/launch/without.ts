import { describePlace, type Finding, type Place } from '../finding.ts'
import type { Look } from '../project/project-check.ts'
import { loadsDotenv, neededVariables } from './programs.ts'

export interface LaunchFile {
  readonly path: string
  readonly text: string
  readonly needed: readonly string[]
}

/** Whatever fetches the key by itself before the program starts. */
export const wrapped =
  /env-file|dotenv|\bop run\b|doppler|infisical|chamber|aws-vault|keyturn|envdir|direnv|(?:ba|z|k)?sh\s+-\w*l|\.env\b/i

/** The code loads a `.env` that has the key, so it finds it however it is started. */
export function isLoadedByCode(look: Look): boolean {
  return (
    loadsDotenv(look.project) &&
    look.facts.dotenv.some(
      ({ variables, loaders }) =>
        loaders.length > 0 &&
        variables.some(({ name, text }) => neededVariables(look.project).includes(name) && text.length > 0),
    )
  )
}

export function without(place: Place & { readonly name?: string }, cause: string, fix: string): Finding {
  return {
    code: 'launch_without_variable',
    severity: 'error',
    seen: `${describePlace(place)} starts the program without ${place.name ?? 'OPENAI_API_KEY'}, which is set only where it does not look.`,
    cause,
    fix,
    place,
  }
}
