import { auditKinds } from '../choices.ts'
import type { ArgumentSpec, CommandSpec, OptionSpec } from '../command.ts'
import { name, publicKey, publicKeyId, usual } from './parts.ts'

const auditFolder: ArgumentSpec = {
  name: 'folder',
  description: 'As audit.sinks names it, or a journal in it, or one file. Default: audit in KEYTURN_HOME.',
  isOptional: true,
  offers: 'files',
}
const auditFilters: readonly OptionSpec[] = [
  { flags: '--kind <kind>', description: 'Only read, act, refusal or journal.', offers: auditKinds },
  { flags: '--action <action>', description: 'Only this action, e.g. getCredential.' },
  { flags: '--outcome <outcome>', description: 'Only this outcome, e.g. forbidden.' },
  { flags: '--credential <name>', description: 'Only rows of this credential.', offers: 'credentials' },
  { flags: '--caller <caller>', description: 'Only rows of this caller, by name or id.' },
  { flags: '--since <instant>', description: 'Only from this instant on, e.g. 2026-11-01T00:00:00Z.' },
  { flags: '--until <instant>', description: 'Only before this instant.' },
]

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
    examples: [
      'keyturn audit list --kind refusal',
      'keyturn audit list --credential openai --since 2026-11-01T00:00:00Z --follow',
    ],
    exits: usual,
    load: () => import('../commands/audit-list.ts'),
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
        offers: 'files',
        isList: true,
      },
      { flags: '--offline', description: 'Ask no service for heads.' },
      publicKey,
      publicKeyId,
    ],
    examples: [
      'keyturn audit verify /var/lib/keyturn/audit --heads /mnt/other/keyturn-heads --key signing-key.pub',
    ],
    exits: '0 every row is as it was written, 1 one is not, or it cannot be told, 2 wrong usage',
    load: () => import('../commands/audit-verify.ts'),
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
        offers: 'files',
      },
      { flags: '--bearer-file <file>', description: 'The token for an https:// address.', offers: 'files' },
      { flags: '--after <row>', description: 'Begin after this row.' },
      ...auditFilters,
      { flags: '--follow', description: 'Go on with what comes, until Ctrl-C.' },
    ],
    examples: [
      'keyturn audit export --since 2026-11-01T00:00:00Z --to november.jsonl',
      'keyturn audit export --to tcp://127.0.0.1:601 --after 1200 --follow',
    ],
    exits: usual,
    load: () => import('../commands/audit-export.ts'),
  },
  {
    name: 'audit status',
    args: [],
    summary: 'show how the audit journal does, and which places take its rows',
    details:
      'What is on a disk, what is sealed by a head, and how many replies were refused for want of a row.',
    options: [],
    examples: ['keyturn audit status'],
    exits: `${usual}, 3 a place takes no rows or no heads`,
    load: () => import('../commands/audit-status.ts'),
  },
  {
    name: 'report',
    args: [
      name,
      {
        name: 'rotation',
        description: 'A rotation id or its beginning. Default: the latest rotation.',
        offers: 'rotations',
        isOptional: true,
      },
    ],
    summary: 'show who turned a key, why, and what each step rests on',
    details:
      'What an auditor asks for: verifications, last use, proof of death. As text for people; with --json or --output as the document that the installation signed.',
    options: [
      {
        flags: '--retirement <version>',
        offers: 'versions',
        description:
          'Instead: how this old key was retired, where no rotation replaced it. A version id, its beginning, or a fingerprint.',
      },
      {
        flags: '--output <file>',
        offers: 'files',
        description: 'Write the signed document into this file, which must be new.',
      },
    ],
    examples: ['keyturn report openai', 'keyturn report openai --output report.json'],
    exits: usual,
    load: () => import('../commands/report.ts'),
  },
  {
    name: 'report verify',
    args: [{ name: 'file', description: 'What keyturn report --output wrote.', offers: 'files' }],
    summary: 'check that a report is as the installation signed it',
    details:
      'Needs no service. Whose key it is you must know from elsewhere than from the document: from --key, --key-id, or signing-key.pub in KEYTURN_HOME.',
    options: [publicKey, publicKeyId, { flags: '--show', description: 'Also print the report.' }],
    examples: ['keyturn report verify report.json --key signing-key.pub'],
    exits: '0 signed and unchanged, 1 changed, signed by another key, or no report, 2 wrong usage',
    load: () => import('../commands/report-verify.ts'),
  },
  {
    name: 'report key',
    args: [],
    summary: 'print the public key that reports are verified with',
    details: 'As PEM on standard output, its id on standard error; give both to whoever verifies reports.',
    options: [],
    examples: ['keyturn report key > signing-key.pub'],
    exits: usual,
    load: () => import('../commands/report-key.ts'),
  },
]
