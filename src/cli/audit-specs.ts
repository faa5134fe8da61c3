import type { CommandSpec } from './command.ts'

const auditFolder = {
  name: 'folder',
  description: 'As audit.sinks names it, or a journal in it, or one file. Default: audit in KEYTURN_HOME.',
  isOptional: true,
}
const auditFilters = [
  { flags: '--kind <kind>', description: 'Only read, act, refusal or journal.' },
  { flags: '--action <action>', description: 'Only this action, e.g. getCredential.' },
  { flags: '--outcome <outcome>', description: 'Only this outcome, e.g. forbidden.' },
  { flags: '--credential <name>', description: 'Only rows of this credential.' },
  { flags: '--caller <caller>', description: 'Only rows of this caller, by name or id.' },
  { flags: '--since <instant>', description: 'Only from this instant on, e.g. 2026-11-01T00:00:00Z.' },
  { flags: '--until <instant>', description: 'Only before this instant.' },
]
const usual = '0 done, 1 failed, 2 wrong usage'

/** The commands about the audit journal. */
export const auditSpecs: readonly CommandSpec[] = [
  {
    name: 'audit list',
    args: [],
    summary: 'show the latest rows of the audit, or follow it',
    details: 'Of the replica that is asked, with who did what, to which credential, and what came of it.',
    options: [
      ...auditFilters,
      { flags: '--limit <count>', description: 'So many of the latest, 1 to 10000. Default: 50.' },
      { flags: '--follow', description: 'Go on with what comes, until Ctrl-C.' },
    ],
    example: 'keyturn audit list --kind refusal',
    exits: usual,
    load: () => import('./commands/audit-list.ts'),
  },
  {
    name: 'audit verify',
    args: [auditFolder],
    summary: 'find any row that was changed, removed, moved or cut off',
    details:
      'Needs no service: the files, the key of the installation (as for report verify), and the signed heads of the second place. A service that runs is asked for those in its ledger.',
    options: [
      {
        flags: '--heads <path>',
        description: 'A folder of audit.heads, or a file with one head per line; may be given several times.',
        isList: true,
      },
      { flags: '--offline', description: 'Ask no service for heads.' },
      { flags: '--key <file>', description: 'The public key, as PEM or JWK (keyturn report key).' },
      { flags: '--key-id <id>', description: 'The id of the key, where you have compared it.' },
    ],
    example:
      'keyturn audit verify /var/lib/keyturn/audit --heads /mnt/other/keyturn-heads --key signing-key.pub',
    exits: '0 every row is as it was written, 1 one is not, or it cannot be told, 2 wrong usage',
    load: () => import('./commands/audit-verify.ts'),
  },
  {
    name: 'audit export',
    args: [auditFolder],
    summary: 'write rows as JSON lines to a file, standard output, syslog or a webhook',
    details:
      'Reads the files themselves, so it needs no service. A reader tells rows that come twice by their number.',
    options: [
      {
        flags: '--to <target>',
        description:
          'stdout (default), a new file, udp://HOST:PORT, tcp://HOST:PORT, unix:PATH, or an https:// address.',
      },
      { flags: '--bearer-file <file>', description: 'The token for an https:// address.' },
      { flags: '--after <row>', description: 'Begin after this row.' },
      ...auditFilters,
      { flags: '--follow', description: 'Go on with what comes, until Ctrl-C.' },
    ],
    example: 'keyturn audit export --since 2026-11-01T00:00:00Z --to november.jsonl',
    exits: usual,
    load: () => import('./commands/audit-export.ts'),
  },
  {
    name: 'audit status',
    args: [],
    summary: 'show how the audit journal does, and which places take its rows',
    details:
      'What is on a disk, what is sealed by a head, and how many replies were refused for want of a row.',
    options: [],
    example: 'keyturn audit status',
    exits: `${usual}, 3 a place takes no rows or no heads`,
    load: () => import('./commands/audit-status.ts'),
  },
]
