/**
 * What somebody may do. read: get the secret. operate: verify, rotate, roll back, revoke. audit: read what happened. hook:
 * begin a rotation because its store says so, and nothing else. These are of a credential; metrics and dashboard are of
 * the service.
 */
export type Grant = 'read' | 'operate' | 'audit' | 'hook' | 'metrics' | 'dashboard'

export const allGrants: readonly Grant[] = ['read', 'operate', 'audit', 'hook', 'metrics', 'dashboard']

/** On which credentials something may be done. Patterns are names in which `*` stands for any characters. */
export interface GrantRule {
  readonly credentials: readonly string[]
  readonly may: readonly Grant[]
}
