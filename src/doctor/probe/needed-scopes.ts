import type { ProjectFiles } from '../project/files.ts'
import type { Authentication } from './authenticate.ts'
import { inferenceScopes } from './authenticate.ts'
import type { Known } from './known-credential.ts'

const sources = /\.(?:[cm]?[jt]sx?|py|go|rb|rs|php|java|kt|cs|sh)$/
const readMax = 300

/** How a program's source shows that it calls what a scope is for. */
const usesOf: Readonly<Record<(typeof inferenceScopes)[number], RegExp>> = {
  'api.responses.write': /\bresponses\s*\.\s*(?:create|stream|parse)\b|\/v1\/responses\b/,
  'model.request': /\bcompletions\s*\.\s*(?:create|stream|parse)\b|\/chat\/completions\b|ChatCompletion\b/,
}

/**
 * Which of the refused scopes the program needs: what was declared for the key, what its source calls, and where the key
 * may call no model at all, whatever is refused. A key made for one endpoint is no mistake.
 */
export function neededScopes(
  authentication: Pick<Authentication, 'missingScopes' | 'provenScopes'>,
  known: Known | undefined,
  files: ProjectFiles,
): readonly string[] {
  const { missingScopes, provenScopes } = authentication
  if (missingScopes.length === 0) return []
  const isUseless = inferenceScopes.every((scope) => missingScopes.includes(scope))
  const declared = known?.isIts === true ? (known.credential.expectation.scopes ?? []) : []
  const isProvenForSome = inferenceScopes.some((scope) => provenScopes.includes(scope))
  return missingScopes.filter(
    (scope) => isUseless || declared.includes(scope) || (isProvenForSome && isCalled(scope, files)),
  )
}

function isCalled(scope: string, files: ProjectFiles): boolean {
  const known = inferenceScopes.find((one) => one === scope)
  if (known === undefined) return false
  return files
    .list()
    .filter((path) => sources.test(path))
    .slice(0, readMax)
    .some((path) => usesOf[known].test(files.read(path) ?? ''))
}
