import { credentialFields } from '../choices.ts'
import type { CommandSpec } from '../command.ts'
import { confirm, name, usual } from './parts.ts'

export const lookSpecs: readonly CommandSpec[] = [
  {
    name: 'status',
    args: [
      { ...name, description: 'One credential in detail. Default: all, one line each.', isOptional: true },
    ],
    summary: 'show what is handed out, what is going on and what is wrong',
    details: 'Every trouble comes with what to do about it.',
    options: [
      {
        flags: '--watch',
        description:
          'Go on and show every change, the troubled first, until Ctrl-C or q; with --json one line for each change.',
      },
    ],
    examples: ['keyturn status', 'keyturn status openai', 'keyturn status --watch'],
    exits: `${usual}, 3 something needs a person: no verified key, or something halted, 130 interrupted`,
    load: () => import('../commands/status.ts'),
  },
  {
    name: 'versions',
    args: [name],
    summary: 'list the keys of a credential',
    details:
      'Keys are shown by fingerprint, which is equal wherever the same key is found. Of a retired one neither an earlier valid verdict nor an expiry is told: most are dead.',
    options: [],
    examples: ['keyturn versions openai'],
    exits: usual,
    load: () => import('../commands/versions.ts'),
  },
  {
    name: 'leases',
    args: [name],
    summary: 'show who holds which generation of the key, or drop one that will not come back',
    details:
      'An old key is not revoked while an instance holds it. Those that have not moved on to the current one come first. To drop one that was heard of within ten minutes wants the name typed.',
    options: [
      {
        flags: '--drop <instance>',
        description:
          'Forget this instance: it has ended, or may lose its key. Apps that live come back by themselves.',
        offers: 'instances',
      },
      confirm,
    ],
    examples: ['keyturn leases openai', 'keyturn leases openai --drop web-2'],
    exits: `${usual}, 3 confirmation needed`,
    load: () => import('../commands/leases.ts'),
  },
  {
    name: 'inventory',
    args: [],
    summary: 'list every key of the organisation, and who holds it',
    details:
      'Of every project that the admin key can see, and the admin keys: what needs attention first. What could not be listed is said.',
    options: [],
    examples: [
      'keyturn inventory',
      'keyturn inventory --json | jq \'.items[] | select(.standing == "suspect")\'',
    ],
    exits: '0 all was listed, 1 failed, or something could not be listed, 2 wrong usage',
    load: () => import('../commands/inventory.ts'),
  },
  {
    name: 'verify',
    args: [name],
    summary: 'prove the current key against the issuer now',
    details: 'Free of charge: no model is run.',
    options: [],
    examples: ['keyturn verify openai'],
    exits: `0 the key works, 1 nothing could be concluded, 2 wrong usage, 3 the key or its account needs a person`,
    load: () => import('../commands/verify.ts'),
  },
  {
    name: 'get',
    args: [name],
    summary: 'print the current verified key, or another field',
    details:
      'Prints the key alone, without a line break unless standard output is a terminal. Takes an app token (KEYTURN_TOKEN) or an operator token.',
    options: [
      {
        flags: '--field <field>',
        description:
          'apiKey (default), organization, project, baseUrl, version, fingerprint, stage, verdict, verifiedAt, rotatesAt or generation.',
        offers: credentialFields,
      },
    ],
    examples: ['OPENAI_API_KEY="$(keyturn get openai)" node app.js', 'keyturn get openai --field verifiedAt'],
    exits: `${usual}, 3 there is no verified key`,
    load: () => import('../commands/get.ts'),
  },
]
