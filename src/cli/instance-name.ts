import { hostname } from 'node:os'
import { looksLikeKey } from '../core/key-shape.ts'

/** Operators read it in the leases: what it is, where, and what tells it from others there, such as its process. */
export function instanceName(kind: string, mark: string): string {
  const host = hostname()
    .replaceAll(/[^\w.-]/g, '')
    .slice(0, 80)
  const name = `${kind}-${host}-${mark}`
  return looksLikeKey(name) ? `${kind}-${mark}` : name
}
