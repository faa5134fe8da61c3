/**
 * What somebody may do. read: get the secret. operate: verify, rotate, roll back, revoke. audit: read what happened. These
 * are of a credential; metrics and dashboard are of the service.
 */
export type Grant = 'read' | 'operate' | 'audit' | 'metrics' | 'dashboard'

export const allGrants: readonly Grant[] = ['read', 'operate', 'audit', 'metrics', 'dashboard']

/** On which credentials something may be done. Patterns are names in which `*` stands for any characters. */
export interface GrantRule {
  readonly credentials: readonly string[]
  readonly may: readonly Grant[]
}
