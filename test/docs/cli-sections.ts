import { argumentTerm, type CommandSpec } from '../../src/cli/command.ts'
import { specs } from '../../src/cli/specs.ts'
import { table } from './markdown.ts'

/** What a page can say with a link, and the help of a command cannot. */
const further: Readonly<Record<string, string>> = {
  status: 'Where a [spare](standby.md) is kept, `standby` says how old it is, or why there is none.',
  inventory:
    '[The inventory](inventory.md) says what the states mean; a narrow terminal shows fewer columns, `--json` all.',
  report: 'What stands in a report: [reports](reports.md).',
  approve: 'Where two persons are needed: [access](access.md#two-persons).',
  'audit verify': 'What it finds, and what it cannot: [audit](audit.md).',
}

/** The commands of docs/cli.md, one section each, made of what the help is made of. */
export const cliSections = (): string => specs.map(section).join('\n\n')

function section(spec: CommandSpec): string {
  const rows = [
    ...spec.args.map(({ name, description }) => [`\`${name}\``, description]),
    ...spec.options.map(({ flags, description }) => [`\`${flags}\``, description]),
  ]
  const parts = [
    `### \`${['keyturn', spec.name, ...spec.args.map(argumentTerm)].join(' ')}\``,
    `${sentence(spec.summary)} ${spec.details}`,
    further[spec.name],
    rows.length === 0 ? undefined : table(['argument or option', 'what it says'], rows),
    `\`\`\`sh\n${spec.examples.join('\n')}\n\`\`\``,
    `Exit codes: ${spec.exits}.`,
  ]
  return parts.filter((part) => part !== undefined).join('\n\n')
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`
}
