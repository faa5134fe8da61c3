import type { CommandSpec } from '../command.ts'

/** The command that looks at a project. */
export const doctorSpecs: readonly CommandSpec[] = [
  {
    name: 'doctor',
    args: [
      {
        name: 'folder',
        description: 'The project to look at. Default: the folder that you are in.',
        isOptional: true,
        offers: 'files',
      },
    ],
    summary: 'find out why a key does not work, or is about to stop working',
    details:
      'Looks at the environment, .env files, source, manifests, the way to OpenAI and what it answers, and at Keyturn where it is there. Needs no service and no configuration, changes nothing, costs nothing, and prints one line where all is well.',
    options: [
      { flags: '--offline', description: 'Ask nobody: files and environment only.' },
      {
        flags: '--billable',
        description:
          'Let one short answer of a model be paid for (at most 16 tokens), the only way to see quota and limits.',
      },
      {
        flags: '--model <id>',
        description: 'A model that the app needs. Default: those that its source names.',
      },
      {
        flags: '--key-file <file>',
        description:
          'Look at the key in this file, or from standard input where it is -, and at nothing of the project.',
        offers: 'files',
      },
      {
        flags: '--config <file>',
        description: 'The keyturn.yaml to look at. Default: as for serve.',
        offers: 'files',
      },
      {
        flags: '--allow-host <host>',
        description:
          "Also send the key to this host where only the project's own files name it; OpenAI and this machine need none. May be given several times.",
        isList: true,
      },
      {
        flags: '--ci',
        description:
          'For a pipeline: also asks stores what Keyturn may do there and proves the key of every credential, draws nothing, and annotates the run of GitHub Actions.',
      },
      {
        flags: '--compare <place>',
        description:
          'Show the key here beside the one in another place: env-file:PATH, service:NAME, store:NAME, docker:CONTAINER, k8s:NAMESPACE/DEPLOYMENT, or json:FILE from --json on another machine; may be given several times.',
        isList: true,
      },
      {
        flags: '--bundle <file>',
        description:
          'Also write a new file for support: versions, findings, steps, and of each call status, code, request id and headers; no key, token or personal datum.',
        offers: 'files',
      },
      { flags: '--sarif', description: 'Print SARIF 2.1.0 for code scanning in place of the text.' },
      { flags: '--strict', description: 'Warnings count as errors.' },
      {
        flags: '--timeout <duration>',
        description: 'For each step on the network, 100ms to 60s. Default: 3s.',
      },
      {
        flags: '--explain <code>',
        description: 'Print what a finding means, how it comes about and what mends it; looks at nothing.',
      },
    ],
    examples: [
      'keyturn doctor',
      'keyturn doctor services/api --offline --json',
      'keyturn doctor --key-file - < key.txt',
      'keyturn doctor --compare docker:web --compare k8s:shop/web',
      'keyturn doctor --explain key_placeholder',
    ],
    exits:
      '0 nothing is wrong (warnings and notes may be told), 1 it could not be told: a look failed, or only the network or OpenAI is away, 2 wrong usage, 3 something is wrong that a person must mend (with --strict also a warning)',
    load: () => import('../commands/doctor.ts'),
  },
]
