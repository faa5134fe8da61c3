import { fileFormats, fileModes, programSignals, rotationActs } from '../choices.ts'
import type { CommandSpec, OptionSpec } from '../command.ts'

const credential: OptionSpec = {
  flags: '--credential <name>',
  description: 'Which one. Default: KEYTURN_CREDENTIAL, else openai.',
  offers: 'credentials',
}

const inProcess: OptionSpec = {
  flags: '--in-process',
  description:
    'Ask no service: resolve the key here, from OPENAI_API_KEY or keyturn.yaml. Default where no address and no token of a service is found; then a keyturn.yaml that asks or tells anybody beyond this machine and OpenAI must be named (KEYTURN_CONFIG).',
}

const instance: OptionSpec = {
  flags: '--instance <name>',
  description:
    'How it is called in keyturn leases. Default: the command, the host, and the process or the file.',
}

export const appsSpecs: readonly CommandSpec[] = [
  {
    name: 'exec',
    args: [
      { name: 'command', description: 'What to run, with its arguments.', isCommand: true, offers: 'files' },
    ],
    summary: 'run a program with the current key in its environment',
    details:
      'Sets OPENAI_API_KEY and OPENAI_BASE_URL, and OPENAI_ORG_ID and OPENAI_PROJECT_ID as the credential has them; takes Keyturn tokens and OPENAI_ADMIN_KEY out. The environment of a running program cannot be changed, so it is started anew when there is another key, and the old key lives until it is gone. Standard input, output and signals are its own.',
    options: [
      credential,
      {
        flags: '--on-rotation <act>',
        description:
          'restart (default); signal, for a program that reads a file again (keyturn file); or none: the old key lives on until the program ends.',
        offers: rotationActs,
      },
      {
        flags: '--signal <name>',
        description: 'What --on-rotation signal sends. Default: SIGHUP.',
        offers: programSignals,
      },
      {
        flags: '--stop-signal <name>',
        description: 'What asks the program to end before a restart. Default: SIGTERM.',
        offers: programSignals,
      },
      {
        flags: '--grace <duration>',
        description: 'How long it may take to end before SIGKILL, or to read a file. Default: 10s.',
      },
      {
        flags: '--spread <duration>',
        description: 'Restart within a random part of this, so that many do not as one. Default: 0s.',
      },
      {
        flags: '--variable <name>',
        description: 'Which variable gets the key; may be given several times. Default: OPENAI_API_KEY.',
        isList: true,
      },
      {
        flags: '--keep <variable>',
        description: 'Leave it in, e.g. KEYTURN_TOKEN; may be given several times.',
        isList: true,
      },
      instance,
      inProcess,
    ],
    examples: [
      'keyturn exec -- python app.py',
      'keyturn exec --credential openai-prod --spread 30s -- gunicorn app:app',
      'keyturn exec --on-rotation none -- ./nightly.sh',
    ],
    exits:
      '0 the program ended so (its other exit codes are passed on too), 1 failed before it was started, 2 wrong usage, 3 there is no verified key, 126 it cannot be run, 127 it is not there, 128 and more: ended by the signal of that number less 128',
    load: () => import('../commands/exec.ts'),
  },
  {
    name: 'file',
    args: [],
    summary: 'keep the current key in a file',
    details:
      'Written beside it, flushed and renamed, so that a reader never sees half of it; readable by its owner alone. Goes on until a signal, through outages of the service; the old key lives until the new one is in the file and the hook has succeeded.',
    options: [
      { flags: '--out <path>', description: 'The file; its folder must be there.', offers: 'files' },
      {
        flags: '--format <format>',
        description:
          'raw (default), the key alone, without a line break; env, which changes only its own lines of a .env; or json.',
        offers: fileFormats,
      },
      credential,
      {
        flags: '--hook <command>',
        description:
          'Run by the shell after each change, until it succeeds; it gets KEYTURN_FILE, KEYTURN_VERSION, KEYTURN_FINGERPRINT and no key.',
      },
      { flags: '--hook-timeout <duration>', description: 'After this long it is ended. Default: 60s.' },
      { flags: '--hook-key', description: 'Give the hook the key too, as OPENAI_API_KEY.' },
      { flags: '--once', description: 'Write it once and end, for cron.' },
      {
        flags: '--remove-on-exit',
        description: 'When ended by a signal, take the key out again: the file, or the lines of a .env.',
      },
      {
        flags: '--shared-folder',
        description:
          'Others may write into the folder, and that is known: a volume that the containers of a pod share.',
      },
      { flags: '--mode <mode>', description: '0600 (default), 0640, 0400 or 0440.', offers: fileModes },
      {
        flags: '--variable <name>',
        description: 'With --format env: which variable gets the key. Default: OPENAI_API_KEY.',
      },
      instance,
      inProcess,
    ],
    examples: [
      "keyturn file --out /run/app/openai.key --hook 'systemctl reload app'",
      'keyturn file --out .env --format env --once',
      'keyturn file --out /run/app/openai.json --format json --remove-on-exit',
    ],
    exits:
      '0 written, or ended by a signal, 1 failed, 2 wrong usage, 3 there is no verified key (with --once)',
    load: () => import('../commands/file.ts'),
  },
]
