import type { CommandSpec } from '../command.ts'
import { confirm, name, reason, usual } from './parts.ts'

export const turnSpecs: readonly CommandSpec[] = [
  {
    name: 'rotate',
    args: [{ ...name, isOptional: true }],
    summary: 'turn the key: mint, prove, promote, and retire the old one',
    details:
      'Starts a rotation. With --wait it is shown until the old key is proven dead, which takes at least the overlap; Ctrl-C leaves it running.',
    options: [
      {
        flags: '--emergency',
        description:
          'Goes before everything else that is running for this credential. The new key is proven as usual while another one works, and once where none does.',
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
        offers: 'credentials',
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
    examples: [
      'keyturn rotate openai --wait',
      'keyturn rotate openai --rehearse',
      'keyturn rotate openai --emergency --compromised --reason "found in a log"',
      "keyturn rotate --all --match 'team-*' --wave 10 --pause 10m",
    ],
    exits: `${usual}, 3 halted or in a blackout: a person is needed, 130 interrupted (the rotation goes on)`,
    load: () => import('../commands/rotate.ts'),
  },
  act('pause', 'hold the running rotation where it is', 'Nothing more is done for it until it is resumed.'),
  act(
    'resume',
    'let a paused or halted rotation go on',
    'A halted rotation tries again from where it stopped.',
  ),
  act('abort', 'give the running rotation up', 'A key that it minted is revoked; what is handed out stays.'),
  {
    name: 'rollback',
    args: [name],
    summary: 'hand out an earlier key again',
    details: 'To any live version that is not retired.',
    options: [
      {
        flags: '--to <version>',
        offers: 'versions',
        description: 'A version id, its beginning, or a fingerprint. Default: the previous version.',
      },
      reason,
    ],
    examples: [
      'keyturn rollback openai --reason "new key lacks a scope"',
      'keyturn rollback openai --to 5c1e9a02',
    ],
    exits: `${usual}, 3 a person is needed`,
    load: () => import('../commands/rollback.ts'),
  },
]

function act(verb: 'pause' | 'resume' | 'abort', summary: string, details: string): CommandSpec {
  return {
    name: verb,
    args: [name],
    summary,
    details,
    options: [],
    examples: [`keyturn ${verb} openai`],
    exits: usual,
    load: async () => (await import('../commands/act.ts'))[verb],
  }
}
