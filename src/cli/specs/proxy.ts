import type { CommandSpec } from '../command.ts'

export const proxySpecs: readonly CommandSpec[] = [
  {
    name: 'proxy',
    args: [],
    summary: 'run a local endpoint of the OpenAI API that adds the key itself',
    details:
      'For programs in any language: they take its address as the base URL, and their Keyturn token as the API key. It shows the token to the service at KEYTURN_URL, puts the current key in its place, and sends the request again with the next key where OpenAI refuses one. Ends on SIGINT or SIGTERM after requests in flight; a second signal ends it at once.',
    options: [
      {
        flags: '--listen <address>',
        description:
          'HOST:PORT on this machine, or unix:PATH for a socket of this user alone. Default: 127.0.0.1:7422.',
      },
      {
        flags: '--credential <name>',
        description:
          'Which credential is served; several times for several, the first for requests that name none. Default: KEYTURN_CREDENTIAL, else openai.',
        isList: true,
        offers: 'credentials',
      },
      {
        flags: '--upstream <url>',
        description:
          "Where requests go: https, or an address of this machine; or 'service' for wherever Keyturn says that the key is for. Default: https://api.openai.com/v1.",
      },
      {
        flags: '--allow <name>',
        description:
          'One more path of the API, by its first part after /v1; several times for several. Never one that administers.',
        isList: true,
      },
      {
        flags: '--max-requests <count>',
        description: 'Requests under way at once, half of them of one caller. Default: 1024.',
      },
      { flags: '--max-body <mebibytes>', description: 'The longest request that is taken. Default: 512.' },
      {
        flags: '--timeout <duration>',
        description: 'How long OpenAI may take to begin an answer, or pause in one. Default: 15m.',
      },
      {
        flags: '--metrics <address>',
        description:
          'Answer /metrics and /healthz there, on this machine and to everybody on it. Default: nowhere.',
      },
      {
        flags: '--stale-after <duration>',
        description:
          'For how long keys are used without word from Keyturn. Default: as long as Keyturn allows (100d).',
      },
    ],
    examples: [
      'keyturn proxy',
      'keyturn proxy --listen unix:/run/keyturn/openai.sock --credential openai-prod',
      'keyturn proxy --upstream service',
    ],
    exits: '0 ended by a signal, 1 failed, 2 wrong usage',
    load: () => import('../commands/proxy.ts'),
  },
]
