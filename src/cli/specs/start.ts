import { shells } from '../choices.ts'
import { type CommandSpec, serviceOffers } from '../command.ts'
import { starterStores } from '../starter-config.ts'
import { configFile, usual } from './parts.ts'

export const startSpecs: readonly CommandSpec[] = [
  {
    name: 'init',
    args: [],
    summary: 'write a commented keyturn.yaml to begin with',
    details:
      'Never overwrites, and asks nothing. With --project and --service-account keys are minted; else you bring them. Where OPENAI_BASE_URL is set, keys are proven and used there.',
    options: [
      {
        flags: '--store <kind>',
        description:
          'local (default), env, file, aws-secrets-manager, google-secret-manager, azure-key-vault, vault or kubernetes.',
        offers: starterStores,
      },
      { flags: '--project <id>', description: 'The OpenAI project in which keys are minted.' },
      { flags: '--service-account <id>', description: 'The service account that gets each new key.' },
      { flags: '--file <path>', description: 'Default: keyturn.yaml.', offers: 'files' },
    ],
    examples: [
      'keyturn init --project proj_abc --service-account svc_acct_abc',
      'keyturn init --store vault --file /etc/keyturn/keyturn.yaml',
    ],
    exits: '0 written, 1 there is one already, 2 wrong usage',
    load: () => import('../commands/init.ts'),
  },
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
      configFile,
    ],
    examples: ['keyturn serve --sandbox', 'keyturn serve --config /etc/keyturn/keyturn.yaml'],
    exits: '0 ended by a signal, 1 failed, 2 wrong usage',
    load: () => import('../commands/serve.ts'),
  },
  {
    name: 'tick',
    args: [],
    summary: 'do what is due once, and end',
    details:
      'One beat: verifies, rotates and retires what is due, and tells alerts. For cron, a Kubernetes CronJob or a cloud scheduler in place of a service that runs all the time.',
    options: [configFile],
    examples: ['keyturn tick --json'],
    exits: `${usual}, 3 a credential needs a person`,
    load: () => import('../commands/tick.ts'),
  },
  {
    name: 'config check',
    args: [
      {
        name: 'file',
        description: 'Default: the file that serve would read.',
        isOptional: true,
        offers: 'files',
      },
    ],
    summary: 'look a configuration over without starting anything',
    details:
      'Names every unknown key, wrong value and contradiction with its line and what to write instead. Then it looks at the files that are named there (certificates, keys, authorities, secrets) as a start of the same user would: whether they are there, can be read, fit together and have not expired. Nothing is connected to.',
    options: [
      {
        flags: '--without-files',
        description: 'Leave those files alone, on a machine that has not got them, as in CI.',
      },
    ],
    examples: ['keyturn config check keyturn.yaml', 'keyturn config check --without-files keyturn.yaml'],
    exits: '0 valid, 1 invalid or missing, 2 wrong usage',
    load: () => import('../commands/config-check.ts'),
  },
  {
    name: 'sandbox',
    args: [],
    summary: 'run only the local OpenAI',
    details:
      'Models, chat, responses and the administration API, with keys of its own, for your tests and for trying a configuration out.',
    options: [
      { flags: '--listen <address>', description: 'HOST:PORT on this machine. Default: 127.0.0.1:7421.' },
      {
        flags: '--state <file>',
        description: 'Keep its state in this file. Default: in memory.',
        offers: 'files',
      },
    ],
    examples: ['keyturn sandbox', 'keyturn sandbox --listen 127.0.0.1:0 --state sandbox.json'],
    exits: '0 ended by a signal, 1 failed, 2 wrong usage',
    load: () => import('../commands/sandbox.ts'),
  },
  {
    name: 'completion',
    args: [{ name: 'shell', description: 'bash, zsh or fish.', offers: shells }],
    summary: 'print a script that completes commands in your shell',
    details:
      'Completes commands, options and their values; of a service that runs also credentials, versions, rotations, instances and tokens, and nothing where none answers within a second.',
    options: [],
    examples: [
      'source <(keyturn completion bash)',
      'keyturn completion zsh > ~/.zfunc/_keyturn',
      'keyturn completion fish > ~/.config/fish/completions/keyturn.fish',
    ],
    exits: usual,
    load: () => import('../commands/completion.ts'),
  },
  {
    name: 'completion values',
    args: [
      {
        name: 'kind',
        description:
          'What of: credentials, versions, rotations, approvals, instances, tokens or token-names.',
        offers: serviceOffers,
      },
      {
        name: 'name',
        description: 'Of which credential, where it is of one.',
        isOptional: true,
        offers: 'credentials',
      },
    ],
    summary: 'print what a service has, as the scripts ask for it',
    details:
      'One a line. Never fails and never says why there is nothing: it stands in the middle of what somebody types.',
    options: [],
    examples: ['keyturn completion values credentials'],
    exits: '0 always, 2 wrong usage',
    load: () => import('../commands/completion-values.ts'),
  },
]
