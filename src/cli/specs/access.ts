import { allGrants } from '../../core/grants.ts'
import { tokenRoles } from '../choices.ts'
import type { CommandSpec, OptionSpec } from '../command.ts'
import { outputOption } from '../token-output.ts'
import { usual } from './parts.ts'

const local: OptionSpec = {
  flags: '--local',
  description: 'Change the token file in KEYTURN_HOME itself, without a service.',
}

export const accessSpecs: readonly CommandSpec[] = [
  {
    name: 'token create',
    args: [{ name: 'token-name', description: 'Whose token it is, e.g. billing-worker.' }],
    summary: 'make a token for an app or an operator',
    details:
      'The token is printed once, alone on standard output, or written with --output into a file that must not be there yet; Keyturn keeps only a hash.',
    options: [
      {
        flags: '--role <role>',
        description: 'app (default) reads credentials; operator also acts.',
        offers: tokenRoles,
      },
      {
        flags: '--credential <name>',
        offers: 'credentials',
        description:
          'On which credentials, or a pattern such as team-*; may be given several times. Default: all.',
        isList: true,
      },
      {
        flags: '--grant <grant>',
        offers: allGrants,
        description:
          'What it may: read, operate, audit, metrics or dashboard; may be given several times. Default: read.',
        isList: true,
      },
      { flags: '--expires <duration>', description: 'E.g. 90d. Default: never.' },
      outputOption,
      local,
    ],
    examples: [
      'keyturn token create billing-worker --credential openai --expires 90d --output app.token',
      'keyturn token create ann --role operator --local --output operator.token',
    ],
    exits: usual,
    load: () => import('../commands/token-create.ts'),
  },
  {
    name: 'token list',
    args: [],
    summary: 'list tokens, without the tokens themselves',
    details: 'With when each was last used.',
    options: [local],
    examples: ['keyturn token list'],
    exits: usual,
    load: () => import('../commands/token-list.ts'),
  },
  {
    name: 'token rotate',
    args: [
      { name: 'token-name', description: 'Whose token it is, as in token list.', offers: 'token-names' },
    ],
    summary: 'make a second token of a name; the old one ends after the overlap',
    details:
      'The new token has the grants of the old one and lives as long as that was made for. It is printed once, alone on standard output, or put with --output in the place of the old one, which apps that read the file find at their next call. Two of a name are live at most.',
    options: [
      {
        flags: '--overlap <duration>',
        description: 'How long the old one stays good. Default: 1h; 0s ends it now.',
      },
      outputOption,
      local,
    ],
    examples: ['keyturn token rotate billing-worker --overlap 24h --output app.token'],
    exits: usual,
    load: () => import('../commands/token-rotate.ts'),
  },
  {
    name: 'token revoke',
    args: [{ name: 'id', description: 'As in token list.', offers: 'tokens' }],
    summary: 'take a token back at once',
    details:
      'Whoever uses it is refused from the next request on. One that was used within a day wants the name of its owner typed.',
    options: [
      {
        flags: '--confirm <token-name>',
        description: 'Whose token it is, where nobody is there to type it.',
        offers: 'token-names',
      },
      local,
    ],
    examples: [
      'keyturn token revoke tok_3f9c2a71d04be586',
      'keyturn token revoke tok_3f9c2a71d04be586 --confirm billing-worker',
    ],
    exits: `${usual}, 3 confirmation needed`,
    load: () => import('../commands/token-revoke.ts'),
  },
]
