import type { DotenvLoader, ProjectFacts } from '../../src/doctor/project/project-facts.ts'

export const loader = (name: string, path = 'app.js', more: Partial<DotenvLoader> = {}): DotenvLoader => ({
  name,
  place: { kind: 'file', path },
  overrides: false,
  ...more,
})
export const scanOf = (more: Partial<ProjectFacts> = {}): ProjectFacts => ({
  kinds: ['node'],
  isModule: false,
  sources: [],
  clients: [],
  keys: [],
  baseUrls: [],
  models: [],
  reads: [],
  keyVariables: [],
  readsDefaultKey: true,
  dotenv: { loaders: [] },
  libraries: [],
  ...more,
})
/** A project in which these load a `.env`. */
export const loaded = (...loaders: readonly DotenvLoader[]) => scanOf({ dotenv: { loaders } })
