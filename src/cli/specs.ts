import type { CommandSpec } from './command.ts'
import { accessSpecs } from './specs/access.ts'
import { alertsSpecs } from './specs/alerts.ts'
import { appsSpecs } from './specs/apps.ts'
import { auditSpecs } from './specs/audit.ts'
import { doctorSpecs } from './specs/doctor.ts'
import { keysSpecs } from './specs/keys.ts'
import { lookSpecs } from './specs/look.ts'
import { proxySpecs } from './specs/proxy.ts'
import { startSpecs } from './specs/start.ts'
import { turnSpecs } from './specs/turn.ts'

/**
 * Every command: what it is called, what it says about itself, and where its code is, which is loaded when it is used. The
 * help, completion, the manual page and docs/cli.md all say what stands here; tests keep them equal.
 */
export const sections: readonly { readonly title: string; readonly specs: readonly CommandSpec[] }[] = [
  { title: 'Start', specs: startSpecs },
  { title: 'Look', specs: [...lookSpecs, ...doctorSpecs] },
  { title: 'Give to programs', specs: [...appsSpecs, ...proxySpecs] },
  { title: 'Turn', specs: turnSpecs },
  { title: 'Keys', specs: keysSpecs },
  { title: 'Access', specs: accessSpecs },
  { title: 'Audit', specs: auditSpecs },
  { title: 'Alerts', specs: alertsSpecs },
]

export const specs: readonly CommandSpec[] = sections.flatMap((section) => section.specs)

/** Words that commands begin with, and what they say about themselves. `report` is a command as well. */
export const groups: Readonly<Record<string, string>> = {
  alerts: 'what fires, and who is told',
  audit: 'who read, changed or was refused what',
  config: 'look at the configuration',
  token: 'tokens of apps and operators',
}
