import type { CommandSpec } from '../command.ts'
import { confirm, name, reason, usual, version } from './parts.ts'

export const keysSpecs: readonly CommandSpec[] = [
  {
    name: 'bring',
    args: [name],
    summary: 'put in a key that you made yourself',
    details:
      'The key is read from standard input, from --file or --env-file, or typed unseen; never from an argument, which other processes can read. It is proven before it is handed out.',
    options: [
      { flags: '--file <path>', description: 'Read the key from this file.', offers: 'files' },
      {
        flags: '--env-file <path>',
        description: 'Read it from this .env file, where OPENAI_API_KEY is set; the file stays as it is.',
        offers: 'files',
      },
      {
        flags: '--variable <name>',
        description: 'With --env-file: the variable that holds the key there. Default: OPENAI_API_KEY.',
      },
      reason,
      { flags: '--wait', description: 'Wait until the key is proven and handed out.' },
    ],
    examples: [
      'keyturn bring openai < key.txt',
      'keyturn bring openai --file key.txt --reason "made by hand"',
      'keyturn bring openai --env-file .env --wait',
    ],
    exits: `${usual}, 3 a person is needed`,
    load: () => import('../commands/bring.ts'),
  },
  {
    name: 'revoke',
    args: [name, version],
    summary: 'revoke one key at the issuer, for good',
    details:
      'Shows who uses it; a key in use wants the name typed, or --confirm. Refuses to revoke the last working key, unless --even-if-last is given and confirmed.',
    options: [
      {
        flags: '--even-if-last',
        description: "Also the last working key; needs the credential's name typed as confirmation.",
      },
      confirm,
      reason,
    ],
    examples: [
      'keyturn revoke openai 5c1e9a02 --reason "found in a log"',
      'keyturn revoke openai 5c1e9a02 --even-if-last --confirm openai',
    ],
    exits: `${usual}, 3 confirmation needed, or it is the last working key`,
    load: () => import('../commands/revoke.ts'),
  },
  {
    name: 'approve',
    args: [
      name,
      {
        name: 'id',
        description: 'What to approve. Without it, what waits is listed.',
        isOptional: true,
        offers: 'approvals',
      },
    ],
    summary: 'approve an act of another person, where two are needed',
    details:
      'Where access.approvals says so, an emergency or a revocation waits for a second person, for 15 minutes. Shows who loses what, wants the name typed, and does it. Whoever asked for it cannot approve it.',
    options: [confirm],
    examples: ['keyturn approve openai', 'keyturn approve openai apr_3f9c2a71d04b'],
    exits: `${usual}, 3 confirmation needed`,
    load: () => import('../commands/approve.ts'),
  },
]
