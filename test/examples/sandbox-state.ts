import type { Knobs, Sandbox } from '../../src/sandbox/index.ts'
import { type Manifest, projectNamed } from './manifest.ts'
import { type Marker, type Values, valueName } from './markers.ts'
import { markersOf } from './plant.ts'

type KeyState = NonNullable<NonNullable<Manifest['sandbox']>['keys']>[string]

/**
 * Puts a sandbox into the state that a project wants it in, and makes its keys there: give them to `plant`. What was
 * revoked has been so for long, so that all edges refuse it.
 */
export function prepareSandbox(name: string, sandbox: Sandbox): Values {
  const project = projectNamed(name)
  const { keys = {}, knobs = {} } = project.manifest.sandbox ?? {}
  sandbox.set({ ...(knobs as Partial<Knobs>), revocationMs: 0 })
  const values: Record<string, string> = {}
  for (const marker of markersOf(project)) {
    const valueAt = valueName(marker)
    if (valueAt in values) continue
    const value = valueIn(sandbox, marker, keys[marker.name] ?? {})
    if (value !== undefined) values[valueAt] = value
  }
  return values
}

/** Nothing for what is not OpenAI's, or of a kind that the sandbox does not make. */
function valueIn(sandbox: Sandbox, { kind, name }: Marker, state: KeyState): string | undefined {
  const home = name === 'own' ? sandbox : sandbox.other
  if (kind === 'organization') return home.organization
  if (kind === 'project') return home.project
  if (kind === 'admin') return sandbox.createAdminKey().value
  if (kind !== 'key' && kind !== 'service') return undefined
  const options = {
    name,
    ...(state.scopes === undefined ? {} : { scopes: state.scopes }),
    ...(state.state === 'expired' ? { expiresInSeconds: 0 } : {}),
  }
  const key = kind === 'key' ? sandbox.createUserKey(options) : sandbox.createServiceAccountKey(options)
  if (state.state === 'deleted') sandbox.deleteKey(key.id)
  return key.value
}
