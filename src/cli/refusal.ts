import type { Problem } from '../api/types.ts'
import { type ErrorCode, errorCodes, KeyturnError } from '../core/errors.ts'
import { nameOf } from './http.ts'
import type { Address, Token } from './target.ts'

/** Who was asked, and with what. */
export interface Asked {
  readonly address: Address
  readonly token: Token
}

export function malformed({ address }: Pick<Asked, 'address'>): KeyturnError {
  return new KeyturnError('service_malformed', `what answers at ${nameOf(address)} is not Keyturn`, {
    fix: 'Check KEYTURN_URL, and what stands between: a proxy may answer in its place.',
  })
}

/**
 * A refusal in the service's own words where they are its own, else by the status. The service speaks to programs: where its fix
 * names a header or a route, a person at a terminal gets the one of the command line.
 */
export function refusal(asked: Asked, status: number, value: unknown): KeyturnError {
  const problem = ownProblem(value)
  if (problem !== undefined) {
    const code = errorCodes.find((known) => known === problem.code) ?? byStatus(status)
    const fix = fixOf(code, asked) ?? problem.fix
    return new KeyturnError(code, problem.detail || problem.title, fix === undefined ? {} : { fix })
  }
  if (status >= 200 && status < 400) return malformed(asked)
  const guess = byStatus(status)
  return new KeyturnError(
    guess,
    `${nameOf(asked.address)} answered with status ${status}, and not in Keyturn's words`,
    {
      fix:
        fixOf(guess, asked) ?? 'Check KEYTURN_URL, and what stands between: a proxy may answer in its place.',
    },
  )
}

function ownProblem(value: unknown): Problem | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const problem = value as Partial<Problem>
  const isOwn = typeof problem.type === 'string' && problem.type.startsWith('urn:keyturn:error:')
  return isOwn && typeof problem.detail === 'string' ? (problem as Problem) : undefined
}

function fixOf(code: ErrorCode, { token }: Asked): string | undefined {
  if (code === 'unauthenticated') {
    return `${shown(token)} Correct it, or make another beside the service: keyturn token create NAME --role ${token.role} --local`
  }
  if (code === 'forbidden') {
    return `${shown(token)} Show one that has what is named, such as an operator token (KEYTURN_OPERATOR_TOKEN or _FILE).`
  }
  if (code === 'bad_request') return "Correct what is named; 'keyturn COMMAND --help' says what is taken."
  return undefined
}

function shown({ value, from }: Token): string {
  return value === ''
    ? 'No token was shown: the connection says who asks.'
    : `The token is the one in ${from}.`
}

function byStatus(status: number): ErrorCode {
  if (status === 401) return 'unauthenticated'
  if (status === 403) return 'forbidden'
  if (status === 409) return 'conflict'
  if (status === 429) return 'too_many_requests'
  return status >= 500 ? 'service_unreachable' : 'service_malformed'
}
