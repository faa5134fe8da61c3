import { auditSpecs } from './audit-specs.ts'
import type { CommandSpec } from './command.ts'

/**
 * Every command: what it is called, what it says about itself, and where its code is, which is loaded when it is used.
 * docs/cli.md says the same; a test keeps the two equal.
 */

const name = { name: 'name', description: 'The credential, e.g. openai.' }
const reason = {
  flags: '--reason <text>',
  description: 'Why, in at most 500 characters; kept with the rotation and shown to others.',
}
const confirm = {
  flags: '--confirm <name>',
  description: "The credential's name, where nobody is there to type it.",
}
const local = {
  flags: '--local',
  description: 'Change the token file in KEYTURN_HOME itself, without a service.',
}
const usual = '0 done, 1 failed, 2 wrong usage'

export const specs: readonly CommandSpec[] = [
  {
    name: 'serve',
    args: [],
    summary: 'run the service',
    details:
      'Verifies, hands out and turns the credentials of keyturn.yaml, or of OPENAI_API_KEY where there is no file. Ends on SIGINT or SIGTERM after requests in flight; a second signal ends it at once.',
    options: [
      {
        flags: '--sandbox',
        description: 'A local OpenAI and a credential of its own, to try things out; ignores OPENAI_API_KEY.',
      },
      { flags: '--config <file>', description: 'Read this file and no other.' },
    ],
    example: 'keyturn serve --sandbox',
    exits: '0 ended by a signal, 1 failed, 2 wrong usage',
    load: () => import('./commands/serve.ts'),
  },
  {
    name: 'tick',
    args: [],
    summary: 'do what is due once, and end',
    details:
      'One beat: verifies, rotates and retires what is due. For cron, a Kubernetes CronJob or a cloud scheduler in place of a service that runs all the time.',
    options: [{ flags: '--config <file>', description: 'Read this file and no other.' }],
    example: 'keyturn tick --json',
    exits: `${usual}, 3 a credential needs a person`,
    load: () => import('./commands/tick.ts'),
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
      },
    ],
    example: 'OPENAI_API_KEY="$(keyturn get openai)" node app.js',
    exits: `${usual}, 3 there is no verified key`,
    load: () => import('./commands/get.ts'),
  },
  {
    name: 'status',
    args: [
      { ...name, description: 'One credential in detail. Default: all, one line each.', isOptional: true },
    ],
    summary: 'show what is handed out, what is going on and what is wrong',
    details: 'Every trouble comes with what to do about it.',
    options: [],
    example: 'keyturn status openai',
    exits: `${usual}, 3 something needs a person: no verified key, or something halted`,
    load: () => import('./commands/status.ts'),
  },
  {
    name: 'verify',
    args: [name],
    summary: 'prove the current key against the issuer now',
    details: 'Free of charge: no model is run.',
    options: [],
    example: 'keyturn verify openai',
    exits: `0 the key works, 1 nothing could be concluded, 2 wrong usage, 3 the key or its account needs a person`,
    load: () => import('./commands/verify.ts'),
  },
  {
    name: 'rotate',
    args: [{ ...name, isOptional: true }],
    summary: 'turn the key: mint, prove, promote, and retire the old one',
    details:
      'Starts a rotation. With --wait it is shown until the old key is proven dead, which takes at least the overlap; Ctrl-C leaves it running.',
    options: [
      {
        flags: '--emergency',
        description: 'Goes before everything else that is running for this credential.',
      },
      {
        flags: '--compromised',
        description:
          'With --emergency: the old key is in the wrong hands, and is revoked as soon as the new one is out. Shows first who uses it, and wants the name typed.',
      },
      confirm,
      {
        flags: '--rehearse',
        description:
          'All but the promotion, shown to its end: what is allowed, whether a rotation would work, and what remains.',
      },
      {
        flags: '--all',
        description:
          'Every credential in place of one, in waves: the next begins when all of the one before got through, and the first failure ends it.',
      },
      {
        flags: '--match <names>',
        description: "With --all: only these; * stands for any characters, e.g. 'team-*'.",
      },
      { flags: '--wave <count>', description: 'With --all: how many at a time, 1 to 100. Default: 5.' },
      { flags: '--pause <duration>', description: 'With --all: between two waves, e.g. 10m. Default: none.' },
      {
        flags: '--since <instant>',
        description:
          'With --all: leaves out those that are done since then, to go on with what was stopped; the run before names it.',
      },
      {
        flags: '--in-blackout',
        description:
          'Although the credential is in a blackout of its configuration. Its old key stays until after the blackout, also for --wait. With --all, those in a blackout are skipped without it.',
      },
      reason,
      { flags: '--wait', description: 'Show the progress until the old key is proven dead.' },
    ],
    example: 'keyturn rotate openai --wait',
    exits: `${usual}, 3 halted or in a blackout: a person is needed, 130 interrupted (the rotation goes on)`,
    load: () => import('./commands/rotate.ts'),
  },
  {
    name: 'rollback',
    args: [name],
    summary: 'hand out an earlier key again',
    details: 'To any live version that is not retired.',
    options: [
      {
        flags: '--to <version>',
        description: 'A version id, its beginning, or a fingerprint. Default: the previous version.',
      },
      reason,
    ],
    example: 'keyturn rollback openai --reason "new key lacks a scope"',
    exits: `${usual}, 3 a person is needed`,
    load: () => import('./commands/rollback.ts'),
  },
  {
    name: 'versions',
    args: [name],
    summary: 'list the keys of a credential',
    details:
      'Keys are shown by fingerprint, which is equal wherever the same key is found. Of a retired one neither an earlier valid verdict nor an expiry is told: most are dead.',
    options: [],
    example: 'keyturn versions openai',
    exits: usual,
    load: () => import('./commands/versions.ts'),
  },
  {
    name: 'bring',
    args: [name],
    summary: 'put in a key that you made yourself',
    details:
      'The key is read from standard input, from --file, or typed unseen; never from an argument, which other processes can read. It is proven before it is handed out.',
    options: [{ flags: '--file <path>', description: 'Read the key from this file.' }, reason],
    example: 'keyturn bring openai < key.txt',
    exits: `${usual}, 3 a person is needed`,
    load: () => import('./commands/bring.ts'),
  },
  {
    name: 'revoke',
    args: [name, { name: 'version', description: 'A version id, its beginning, or a fingerprint.' }],
    summary: 'revoke one key at the issuer, for good',
    details:
      'Shows who uses it; at a terminal a key in use wants the name typed. Refuses to revoke the last working key, unless --even-if-last is given and confirmed.',
    options: [
      {
        flags: '--even-if-last',
        description: "Also the last working key; needs the credential's name typed as confirmation.",
      },
      confirm,
      reason,
    ],
    example: 'keyturn revoke openai 5c1e9a02 --reason "found in a log"',
    exits: `${usual}, 3 confirmation needed, or it is the last working key`,
    load: () => import('./commands/revoke.ts'),
  },
  {
    name: 'approve',
    args: [
      name,
      { name: 'id', description: 'What to approve. Without it, what waits is listed.', isOptional: true },
    ],
    summary: 'approve an act of another person, where two are needed',
    details:
      'Where access.approvals says so, an emergency or a revocation waits for a second person, for 15 minutes. Shows who loses what, wants the name typed, and does it. Whoever asked for it cannot approve it.',
    options: [confirm],
    example: 'keyturn approve openai apr_3f9c2a71d04b',
    exits: `${usual}, 3 confirmation needed`,
    load: () => import('./commands/approve.ts'),
  },
  {
    name: 'leases',
    args: [name],
    summary: 'show who holds which generation of the key, or drop one that will not come back',
    details:
      'An old key is not revoked while an instance holds it. Those that have not moved on to the current one come first.',
    options: [
      {
        flags: '--drop <instance>',
        description:
          'Forget this instance: it has ended, or may lose its key. Apps that live come back by themselves.',
      },
    ],
    example: 'keyturn leases openai',
    exits: usual,
    load: () => import('./commands/leases.ts'),
  },
  {
    name: 'inventory',
    args: [],
    summary: 'list every key of the organisation, and who holds it',
    details:
      'Of every project that the admin key can see, and the admin keys: what needs attention first. What could not be listed is said.',
    options: [],
    example: 'keyturn inventory',
    exits: '0 all was listed, 1 failed, or something could not be listed, 2 wrong usage',
    load: () => import('./commands/inventory.ts'),
  },
  act('pause', 'hold the running rotation where it is', 'Nothing more is done for it until it is resumed.'),
  act(
    'resume',
    'let a paused or halted rotation go on',
    'A halted rotation tries again from where it stopped.',
  ),
  act('abort', 'give the running rotation up', 'A key that it minted is revoked; what is handed out stays.'),
  {
    name: 'report',
    args: [
      name,
      {
        name: 'rotation',
        description: 'A rotation id or its beginning. Default: the latest rotation.',
        isOptional: true,
      },
    ],
    summary: 'show who turned a key, why, and what each step rests on',
    details:
      'What an auditor asks for: verifications, last use, proof of death. As text for people; with --json or --output as the document that the installation signed.',
    options: [
      {
        flags: '--retirement <version>',
        description:
          'Instead: how this old key was retired, where no rotation replaced it. A version id, its beginning, or a fingerprint.',
      },
      {
        flags: '--output <file>',
        description: 'Write the signed document into this file, which must be new.',
      },
    ],
    example: 'keyturn report openai --output report.json',
    exits: usual,
    load: () => import('./commands/report.ts'),
  },
  {
    name: 'report verify',
    args: [{ name: 'file', description: 'What keyturn report --output wrote.' }],
    summary: 'check that a report is as the installation signed it',
    details:
      'Needs no service. Whose key it is you must know from elsewhere than from the document: from --key, --key-id, or signing-key.pub in KEYTURN_HOME.',
    options: [
      { flags: '--key <file>', description: 'The public key, as PEM or JWK (keyturn report key).' },
      { flags: '--key-id <id>', description: 'The id of the key, where you have compared it.' },
      { flags: '--show', description: 'Also print the report.' },
    ],
    example: 'keyturn report verify report.json --key signing-key.pub',
    exits: '0 signed and unchanged, 1 changed, signed by another key, or no report, 2 wrong usage',
    load: () => import('./commands/report-verify.ts'),
  },
  {
    name: 'report key',
    args: [],
    summary: 'print the public key that reports are verified with',
    details: 'As PEM on standard output, its id on standard error; give both to whoever verifies reports.',
    options: [],
    example: 'keyturn report key > signing-key.pub',
    exits: usual,
    load: () => import('./commands/report-key.ts'),
  },
  {
    name: 'sandbox',
    args: [],
    summary: 'run only the local OpenAI',
    details:
      'Models, chat, responses and the administration API, with keys of its own, for your tests and for trying a configuration out.',
    options: [
      { flags: '--listen <address>', description: 'HOST:PORT on this machine. Default: 127.0.0.1:7421.' },
      { flags: '--state <file>', description: 'Keep its state in this file. Default: in memory.' },
    ],
    example: 'keyturn sandbox',
    exits: '0 ended by a signal, 1 failed, 2 wrong usage',
    load: () => import('./commands/sandbox.ts'),
  },
  {
    name: 'config check',
    args: [{ name: 'file', description: 'Default: the file that serve would read.', isOptional: true }],
    summary: 'look a configuration over without starting anything',
    details:
      'Names every unknown key, wrong value and contradiction with its line and what to write instead.',
    options: [],
    example: 'keyturn config check keyturn.yaml',
    exits: '0 valid, 1 invalid or missing, 2 wrong usage',
    load: () => import('./commands/config-check.ts'),
  },
  {
    name: 'init',
    args: [],
    summary: 'write a commented keyturn.yaml to begin with',
    details:
      'Never overwrites, and asks nothing. With --project and --service-account keys are minted; else you bring them.',
    options: [
      {
        flags: '--store <kind>',
        description:
          'local (default), env, file, aws-secrets-manager, google-secret-manager, azure-key-vault, vault or kubernetes.',
      },
      { flags: '--project <id>', description: 'The OpenAI project in which keys are minted.' },
      { flags: '--service-account <id>', description: 'The service account that gets each new key.' },
      { flags: '--file <path>', description: 'Default: keyturn.yaml.' },
    ],
    example: 'keyturn init --project proj_abc --service-account svc_acct_abc',
    exits: '0 written, 1 there is one already, 2 wrong usage',
    load: () => import('./commands/init.ts'),
  },
  ...auditSpecs,
  {
    name: 'token create',
    args: [{ name: 'token-name', description: 'Whose token it is, e.g. billing-worker.' }],
    summary: 'make a token for an app or an operator',
    details: 'The token is printed once, alone on standard output, and kept only as a hash.',
    options: [
      { flags: '--role <role>', description: 'app (default) reads credentials; operator also acts.' },
      {
        flags: '--credential <name>',
        description:
          'On which credentials, or a pattern such as team-*; may be given several times. Default: all.',
        isList: true,
      },
      {
        flags: '--grant <grant>',
        description:
          'What it may: read, operate, audit, metrics or dashboard; may be given several times. Default: read.',
        isList: true,
      },
      { flags: '--expires <duration>', description: 'E.g. 90d. Default: never.' },
      local,
    ],
    example: 'keyturn token create billing-worker --credential openai --expires 90d > app.token',
    exits: usual,
    load: () => import('./commands/token-create.ts'),
  },
  {
    name: 'token list',
    args: [],
    summary: 'list tokens, without the tokens themselves',
    details: 'With when each was last used.',
    options: [local],
    example: 'keyturn token list',
    exits: usual,
    load: () => import('./commands/token-list.ts'),
  },
  {
    name: 'token rotate',
    args: [{ name: 'token-name', description: 'Whose token it is, as in token list.' }],
    summary: 'make a second token of a name; the old one ends after the overlap',
    details:
      'The new token has the grants of the old one and lives as long as that was made for. It is printed once, alone on standard output. Two of a name are live at most.',
    options: [
      {
        flags: '--overlap <duration>',
        description: 'How long the old one stays good. Default: 1h; 0s ends it now.',
      },
      local,
    ],
    example: 'keyturn token rotate billing-worker --overlap 24h > app.token',
    exits: usual,
    load: () => import('./commands/token-rotate.ts'),
  },
  {
    name: 'token revoke',
    args: [{ name: 'id', description: 'As in token list.' }],
    summary: 'take a token back at once',
    details: 'Whoever uses it is refused from the next request on.',
    options: [local],
    example: 'keyturn token revoke tok_3f9c2a71d04be586',
    exits: usual,
    load: () => import('./commands/token-revoke.ts'),
  },
]

/** Groups of commands, and what they say about themselves. */
export const groups: Readonly<Record<string, string>> = {
  audit: 'who read, changed or was refused what',
  config: 'look at the configuration',
  token: 'tokens of apps and operators',
}

function act(verb: 'pause' | 'resume' | 'abort', summary: string, details: string): CommandSpec {
  return {
    name: verb,
    args: [name],
    summary,
    details,
    options: [],
    example: `keyturn ${verb} openai`,
    exits: usual,
    load: async () => (await import('./commands/act.ts'))[verb],
  }
}
