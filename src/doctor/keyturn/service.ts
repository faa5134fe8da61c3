import type { Check } from '../check.ts'

/** K02: a service that is named and does not answer, or does not let this caller in. */
export const service: Check = {
  name: 'keyturn service',
  needsNetwork: true,
  async run({ keyturn }) {
    const { url = '', problem } = keyturn?.service ?? {}
    if (problem === undefined) return []
    const isRefused = problem.code === 'unauthenticated' || problem.code === 'forbidden'
    return [
      {
        code: 'service_unreachable',
        severity: 'error',
        seen: problem.message,
        cause: isRefused
          ? 'This caller has no token that the service knows, or one that may not read.'
          : 'The service is not running, listens elsewhere, or the network between is cut.',
        fix: problem.fix ?? 'Start it with keyturn serve, or correct KEYTURN_URL.',
        place: { kind: 'address', url },
      },
    ]
  },
}
