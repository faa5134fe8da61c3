import type { CommandSpec } from '../command.ts'
import { usual } from './parts.ts'

export const alertsSpecs: readonly CommandSpec[] = [
  {
    name: 'alerts list',
    args: [],
    summary: 'show what fires, who was told, and what waits and why',
    details: 'With the state of every channel. Where none is configured, nobody is told of anything.',
    options: [],
    examples: ['keyturn alerts list', 'keyturn alerts list --json'],
    exits: `${usual}, 3 something critical fires, or a channel takes nothing`,
    load: () => import('../commands/alerts-list.ts'),
  },
  {
    name: 'alerts test',
    args: [
      {
        name: 'channel',
        description: 'A name under alerts.channels. Default: all of them.',
        isOptional: true,
      },
    ],
    summary: 'send a test to one channel, or to all',
    details: 'The service sends it, with its own secrets and from its own network, and says what came of it.',
    options: [],
    examples: ['keyturn alerts test', 'keyturn alerts test pager'],
    exits: `${usual}, 3 a channel did not take it`,
    load: () => import('../commands/alerts-test.ts'),
  },
]
