import type { Check } from '../check.ts'
import type { KeyturnFacts } from '../facts.ts'
import type { Finding, Severity } from '../finding.ts'

/** Whatever `keyturn config check --without-files` says of a keyturn.yaml: a stranger's may name any file. */
export const configuration: Check = {
  name: 'keyturn configuration',
  needsNetwork: false,
  run: async ({ keyturn }) =>
    keyturn === undefined
      ? []
      : [
          ...keyturn.problems.map((one) => told(keyturn, one, 'error')),
          ...keyturn.warnings.map((one) => told(keyturn, one, 'warning')),
        ],
}

function told(
  { source }: KeyturnFacts,
  { message, fix, line, column }: KeyturnFacts['problems'][number],
  severity: Severity,
): Finding {
  return {
    code: 'config_invalid',
    severity,
    seen: message,
    cause:
      severity === 'error'
        ? 'Keyturn does not start with it, so that nothing half-meant is done with keys.'
        : 'It is allowed, and hardly what was meant.',
    fix,
    place: {
      kind: 'file',
      path: source,
      ...(line === undefined ? {} : { line }),
      ...(column === undefined ? {} : { column }),
    },
  }
}
