import { KeyturnError } from '../core/errors.ts'

/** Names the secret that keeps what is not current. */
export const siblingSuffix = '-keyturn'
/** Google takes 255 characters; the sibling has to fit too. */
const idCharactersMax = 255 - siblingSuffix.length

export interface GoogleName {
  /** `projects/P` or `projects/P/locations/L`. */
  readonly parent: string
  readonly id: string
}

const pattern =
  /^(?:projects\/([a-z0-9][a-z0-9.:-]{0,62})\/(?:locations\/([a-z0-9-]{1,63})\/)?secrets\/)?([A-Za-z0-9_-]+)$/

/** Throws `bad_request` for what is no name of a secret. `parent` undefined: the name has no project in it. */
export function parseGoogleRef(ref: string): { readonly parent: string | undefined; readonly id: string } {
  const [, project, location, id] = pattern.exec(ref) ?? []
  if (id === undefined || id.length > idCharactersMax || id.endsWith(siblingSuffix))
    throw new KeyturnError('bad_request', 'The name of a secret has a form that Google does not take.', {
      fix: `Name it NAME or projects/PROJECT/secrets/NAME: A-Z, a-z, 0-9, _ and -, at most ${idCharactersMax} characters, not ending in ${siblingSuffix}.`,
    })
  if (project === undefined) return { parent: undefined, id }
  return { parent: parentOf(project, location), id }
}

export function parentOf(project: string, location: string | undefined): string {
  return location === undefined ? `projects/${project}` : `projects/${project}/locations/${location}`
}

export function siblingOf({ parent, id }: GoogleName): GoogleName {
  return { parent, id: id + siblingSuffix }
}

export function fullName({ parent, id }: GoogleName): string {
  return `${parent}/secrets/${id}`
}

/** As options of gcloud, for the commands in what an error says to do. */
export function gcloudOptions({ parent }: GoogleName): string {
  const [, project = '', , location] = parent.split('/')
  return location === undefined ? `--project=${project}` : `--project=${project} --location=${location}`
}
