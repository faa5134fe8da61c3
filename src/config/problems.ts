import type { z } from 'zod'
import { nearest } from '../core/nearest.ts'
import type { ConfigDocument, KeyPath } from './document.ts'
import { keysAt } from './known-keys.ts'
import { looksSecret } from './secrets.ts'
import type { ConfigProblem } from './types.ts'

type Issue = z.core.$ZodIssue

type KeysAt = (path: KeyPath) => string[]

interface Known {
  readonly document: ConfigDocument
  readonly keysAtPath: KeysAt
}

/** Turns what the schema found into problems at places of the file, unknown keys with the nearest known one. */
/** `keysAtPath`: which keys are known at a path. Default: those of keyturn.yaml. */
export function problemsOf(
  issues: readonly Issue[],
  document: ConfigDocument,
  keysAtPath: KeysAt = (path) => keysAt(path, document.value),
): ConfigProblem[] {
  return issues.flatMap((issue) => problemsOfIssue(issue, [], { document, keysAtPath }))
}

function problemsOfIssue(issue: Issue, base: KeyPath, known: Known): ConfigProblem[] {
  const { document } = known
  const path = [...base, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))]
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key, known))
  if (issue.code === 'invalid_key') {
    const first = issue.issues[0]
    return [
      {
        ...document.placeOfKey(path.slice(0, -1), String(path.at(-1))),
        ...problem(path, first?.message ?? issue.message),
      },
    ]
  }
  if (issue.code === 'invalid_union') {
    const meant = meantBranch(issue.errors)
    if (meant !== undefined) return meant.flatMap((inner) => problemsOfIssue(inner, path, known))
  }
  return [wrongValue(path, issue, document)]
}

/** The alternative that was meant: the one whose complaints are about its inside, not about being another type. */
function meantBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const isInside = (issue: Issue): boolean => issue.path.length > 0 || issue.code === 'unrecognized_keys'
  const inside = branches.filter((issues) => issues.every(isInside))
  return inside.length === 1 ? inside[0] : undefined
}

function unknownKey(path: KeyPath, key: string, { document, keysAtPath }: Known): ConfigProblem {
  const known = keysAtPath(path)
  const near = nearest(key, known)
  // A secret pasted where a key belongs must not come back out.
  const shown = looksSecret(key) === undefined && key.length <= 64 ? `'${key}'` : 'a key'
  const where = path.length === 0 ? 'at the top level' : `under ${dotted(path)}`
  return {
    ...document.placeOfKey(path, key),
    path: dotted([...path, looksSecret(key) === undefined ? key : '?']),
    message: `${shown} is not known ${where}`,
    fix: near === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean '${near}'?`,
  }
}

function wrongValue(path: KeyPath, issue: Issue, document: ConfigDocument): ConfigProblem {
  const found = valueAt(document.value, path)
  const isMissing = found === undefined
  const wanted = issue.message.startsWith('expected') ? issue.message : expectedType(issue)
  const last = path.at(-1)
  const name = isMissing && last !== undefined ? `'${last}' is missing` : wanted
  const hint = kindHint(issue, found)
  return {
    ...document.place(path),
    path: dotted(path),
    message: isMissing ? `${name}: ${wanted}` : `${wanted}, found ${kindOf(found)}`,
    fix: hint ?? 'Correct this value; docs/configuration.md has every key with its default and range.',
  }
}

function problem(path: KeyPath, message: string): Pick<ConfigProblem, 'path' | 'message' | 'fix'> {
  return { path: dotted(path), message, fix: 'Choose another name, e.g. openai-prod.' }
}

/** `kind: awz` is worth a guess, since the possible answers are few and none is a secret. */
function kindHint(issue: Issue, found: unknown): string | undefined {
  if (typeof found !== 'string') return undefined
  const options: unknown[] =
    issue.code === 'invalid_union' && 'options' in issue && Array.isArray(issue.options)
      ? issue.options
      : issue.code === 'invalid_value'
        ? [...issue.values]
        : []
  const near = nearest(
    found,
    options.filter((option) => typeof option === 'string'),
  )
  return near === undefined ? undefined : `Did you mean '${near}'?`
}

function expectedType(issue: Issue): string {
  const expected = issue.code === 'invalid_type' ? issue.expected : undefined
  if (expected === 'object' || expected === 'record') return 'expected keys with values (key: value)'
  if (expected === 'array') return 'expected a list'
  return `expected ${expected ?? 'another value'}`
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'keys with values'
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return 'another text'
}

export function valueAt(value: unknown, path: KeyPath): unknown {
  let at = value
  for (const part of path) {
    if (typeof at !== 'object' || at === null) return undefined
    at = (at as Record<string | number, unknown>)[part]
  }
  return at
}

export function dotted(path: KeyPath): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('')
}
