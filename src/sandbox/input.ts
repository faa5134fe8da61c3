// Checks of bodies and queries that several routes share. A checked value comes back as `value`, a problem as the
// refusal that OpenAI would answer.

import { limits } from './defaults.ts'
import { type ApiError, badRequest, invalidType, missingParameter, unknownParameter } from './errors.ts'

export type Checked<T> = { readonly value: T } | { readonly error: ApiError }

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A JSON object with no other names than these. */
export function objectBody(body: unknown, names: readonly string[]): Checked<Record<string, unknown>> {
  const value = body ?? {}
  if (!isObject(value)) return { error: invalidType('body', 'an object', value) }
  const stray = Object.keys(value).find((name) => !names.includes(name))
  return stray === undefined ? { value } : { error: unknownParameter(stray) }
}

export function nameField(body: Record<string, unknown>, fallback?: string): Checked<string> {
  const name = body['name'] ?? fallback
  if (name === undefined) return { error: missingParameter('name') }
  if (typeof name !== 'string') return { error: invalidType('name', 'a string', name) }
  if (name.trim() === '' || name.length > limits.nameCharactersMax)
    return {
      error: badRequest(
        `Invalid 'name': expected a string of 1 to ${limits.nameCharactersMax} characters.`,
        'name',
        'invalid_value',
      ),
    }
  return { value: name }
}

export function lifetimeField(body: Record<string, unknown>, isNullable: boolean): Checked<number | null> {
  const lifetime = body['expires_in_seconds']
  if (lifetime === undefined || (lifetime === null && isNullable)) return { value: null }
  const name = 'expires_in_seconds'
  if (typeof lifetime !== 'number' || !Number.isInteger(lifetime))
    return { error: invalidType(name, 'an integer', lifetime) }
  if (lifetime < 1)
    return {
      error: badRequest(
        `Invalid '${name}': integer below minimum value. Expected a value >= 1, but got ${lifetime} instead.`,
        name,
        'integer_below_min_value',
      ),
    }
  if (lifetime > limits.keyLifetimeSecondsMax)
    return {
      error: badRequest(
        `Invalid '${name}': integer above maximum value. Expected a value <= ${limits.keyLifetimeSecondsMax}, but got ${lifetime} instead.`,
        name,
        'integer_above_max_value',
      ),
    }
  return { value: lifetime }
}

export function scopesField(body: Record<string, unknown>): Checked<string[] | undefined> {
  const scopes = body['scopes']
  if (scopes === undefined) return { value: undefined }
  if (!Array.isArray(scopes)) return { error: invalidType('scopes', 'an array of strings', scopes) }
  const bad = scopes.findIndex(
    (scope) => typeof scope !== 'string' || !/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(scope),
  )
  if (bad >= 0 || scopes.length > limits.scopesPerKeyMax)
    return {
      error: badRequest(
        `Invalid value for 'scopes[${Math.max(0, bad)}]': not a scope.`,
        `scopes[${Math.max(0, bad)}]`,
        'invalid_value',
      ),
    }
  return { value: scopes.filter((scope) => typeof scope === 'string') }
}

export interface Page {
  readonly limit: number
  readonly after: string | null
  readonly before: string | null
}

export function pageOf(query: URLSearchParams, fallback = 20): Checked<Page> {
  const raw = query.get('limit')
  const limit = raw === null ? fallback : Number(raw)
  if (raw !== null && !/^-?\d+$/.test(raw)) return { error: invalidType('limit', 'an integer', raw) }
  if (limit < 1 || limit > 100)
    return {
      error: badRequest(
        limit < 1
          ? `Invalid 'limit': integer below minimum value. Expected a value >= 1, but got ${limit} instead.`
          : `Invalid 'limit': integer above maximum value. Expected a value <= 100, but got ${limit} instead.`,
        'limit',
        limit < 1 ? 'integer_below_min_value' : 'integer_above_max_value',
      ),
    }
  return { value: { limit, after: query.get('after'), before: query.get('before') } }
}

/**
 * Cuts one page. `all` may hold entries that are not shown (deleted ones), so that a cursor stays good when what it
 * points at is deleted between two pages.
 */
export function cutPage<T extends { id: string }, V>(input: {
  all: readonly T[]
  page: Page
  isShown: (entry: T) => boolean
  view: (entry: T) => V
}): Checked<ListView<V>> {
  const { all, page, isShown, view } = input
  const from = page.after === null ? 0 : all.findIndex((entry) => entry.id === page.after) + 1
  const to = page.before === null ? all.length : all.findIndex((entry) => entry.id === page.before)
  if (page.after !== null && from === 0) return { error: unknownCursor('after') }
  if (to < 0) return { error: unknownCursor('before') }
  const rest = all.slice(from, to).filter(isShown)
  const shown = rest.slice(0, page.limit)
  return {
    value: {
      object: 'list',
      data: shown.map(view),
      first_id: shown[0]?.id ?? null,
      last_id: shown.at(-1)?.id ?? null,
      has_more: rest.length > shown.length,
    },
  }
}

export interface ListView<V> {
  readonly object: 'list'
  readonly data: V[]
  readonly first_id: string | null
  readonly last_id: string | null
  readonly has_more: boolean
}

function unknownCursor(name: string): ApiError {
  return badRequest(`Invalid '${name}': no such object.`, name, 'invalid_value')
}
