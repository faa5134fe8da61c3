/**
 * Which paths go upstream. The first part after `/v1` decides; what is not on the list does not exist here. The list holds
 * what apps call with a project's key, and nothing that administers (`organization`, `projects`) or hands out something
 * to go on with beside the proxy (`realtime`, whose client secrets are keys of their own).
 */
export const defaultRoots: readonly string[] = [
  'assistants',
  'audio',
  'batches',
  'chat',
  'completions',
  'containers',
  'conversations',
  'embeddings',
  'evals',
  'files',
  'fine_tuning',
  'images',
  'models',
  'moderations',
  'responses',
  'threads',
  'uploads',
  'vector_stores',
  'videos',
]

/** Not even where somebody allows them: they administer, or belong to people. */
export const neverRoots: readonly string[] = [
  'admin',
  'admin_api_keys',
  'dashboard',
  'oauth',
  'organization',
  'organizations',
  'projects',
  'usage',
]

export const rootPattern = /^[a-z][a-z0-9_]{0,63}$/

/**
 * One segment of a path: the characters of OpenAI's ids and of names of fine-tuned models, whose colons some clients
 * encode. No other encoding, since whoever decodes it once more may read another path than was checked here; and no
 * segment of dots alone.
 */
const segment = /^(?!\.+$)(?:[A-Za-z0-9._:~@=+,-]|%3[Aa])+$/
const query = /^[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7c\x7e%&]*$/
const credentialSegment = /^[a-z0-9-]{1,63}$/

export type Route =
  | {
      readonly kind: 'found'
      /** From the path, where it names one: `/openai-prod/v1/…`. */
      readonly credential: string | undefined
      /** What comes after the base URL of the upstream, query included. */
      readonly rest: string
    }
  | { readonly kind: 'malformed' | 'unknown' | 'forbidden' }

/** What a request's target means. Pure; the same text always leads to the same place. */
export function routeOf(target: string, roots: ReadonlySet<string>): Route {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  if (!path.startsWith('/')) return { kind: 'malformed' }
  const segments = path.slice(1).split('/')
  if (!segments.every((one) => segment.test(one))) return { kind: 'malformed' }
  if (mark >= 0 && !query.test(target.slice(mark + 1))) return { kind: 'malformed' }
  // A credential may be called v1: then only the second v1 is the API's.
  const isNamed = segments[0] !== 'v1' || segments[1] === 'v1'
  const [name = ''] = segments
  const after = segments.slice(isNamed ? 1 : 0)
  if (after[0] !== 'v1' || after.length < 2 || (isNamed && !credentialSegment.test(name)))
    return { kind: 'unknown' }
  const root = after[1] ?? ''
  if (!roots.has(root)) return { kind: neverRoots.includes(root) ? 'forbidden' : 'unknown' }
  const start = segments.length === after.length ? '/v1'.length : `/${name}/v1`.length
  return { kind: 'found', credential: isNamed ? name : undefined, rest: target.slice(start) }
}
