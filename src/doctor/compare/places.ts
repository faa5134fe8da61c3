import { KeyturnError } from '../../core/errors.ts'

/** Where else a key is looked for, as `--compare` names it. */
export type ComparePlace =
  | { readonly kind: 'env-file'; readonly name: string; readonly path: string }
  | { readonly kind: 'service'; readonly name: string; readonly credential: string }
  | { readonly kind: 'store'; readonly name: string; readonly credential: string }
  | { readonly kind: 'docker'; readonly name: string; readonly container: string }
  | {
      readonly kind: 'k8s'
      readonly name: string
      readonly namespace: string
      readonly deployment: string
    }
  | { readonly kind: 'json'; readonly name: string; readonly path: string }

/** What begins with a dash would be an option of the program that it is given to. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,252}$/

/** Reads `docker:web` and its like. Error: `usage`. */
export function parsePlace(name: string): ComparePlace {
  const [, kind = '', rest = ''] = /^([a-z0-9-]+):(.+)$/.exec(name) ?? []
  switch (kind) {
    case 'env-file':
    case 'json':
      return { kind, name, path: rest }
    case 'service':
    case 'store':
      if (plainName.test(rest)) return { kind, name, credential: rest }
      break
    case 'docker':
      if (plainName.test(rest)) return { kind, name, container: rest }
      break
    case 'k8s': {
      const [namespace = '', deployment = '', ...more] = rest.split('/')
      if (more.length === 0 && plainName.test(namespace) && plainName.test(deployment))
        return { kind, name, namespace, deployment }
      break
    }
    default:
  }
  throw new KeyturnError('usage', '--compare does not know this place', {
    fix: 'Name env-file:PATH, service:NAME, store:NAME, docker:CONTAINER, k8s:NAMESPACE/DEPLOYMENT, or json:FILE with what --json printed on another machine.',
  })
}
