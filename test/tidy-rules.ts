/**
 * What may import what: the table of DESIGN.md as data, and every exception with its reason. To allow something, add a
 * line here and say why; an owner of a banned thing that does not use it any more fails the test.
 */

/** static: loaded at once. dynamic: only through `import()`. types: only `import type`. */
export type Strength = 'static' | 'dynamic' | 'types'

export interface FolderRule {
  /** Files of src by their beginning, `node` for builtins, or a package. A file's own folder is always allowed. */
  readonly [target: string]: readonly Strength[]
}

const fully: readonly Strength[] = ['static', 'dynamic', 'types']
const lazily: readonly Strength[] = ['dynamic', 'types']
const asTypes: readonly Strength[] = ['types']

/** Plain data and the one error class: what the words of Keyturn are to code that must stay free of its workings. */
const coreWords = { 'core/types.ts': fully, 'core/errors.ts': fully, 'core/grants.ts': fully }

export const importTable: Readonly<Record<string, FolderRule>> = {
  core: {},
  // yaml reads a kubeconfig, and is loaded only where one is configured.
  stores: {
    core: fully,
    node: fully,
    'package-folder.ts': fully,
    'age-encryption': lazily,
    '@aws-sdk/client-secrets-manager': lazily,
    '@azure/identity': lazily,
    '@azure/keyvault-secrets': lazily,
    '@google-cloud/secret-manager': lazily,
    yaml: lazily,
  },
  issuers: { core: fully, node: fully },
  ledger: { core: fully, node: fully, pg: lazily },
  audit: { core: fully, node: fully },
  // nodemailer speaks SMTP, and is loaded with the first mail.
  alerts: { core: fully, node: fully, nodemailer: lazily },
  // The service's interface speaks the words of the API; croner is pure, node-cron is the beat.
  engine: {
    core: fully,
    'api/types.ts': asTypes,
    'api/alert-types.ts': asTypes,
    croner: fully,
    'node-cron': lazily,
  },
  api: { ...coreWords, zod: fully },
  // Stores, issuers and the service reach it through ports; yaml reads manifests, where there are any.
  doctor: { core: fully, 'api/types.ts': asTypes, node: fully, yaml: lazily },
  // The engine reaches the server as an interface; main puts them together. prom-client is loaded at the first scrape.
  server: {
    core: fully,
    engine: asTypes,
    api: fully,
    hooks: fully,
    telemetry: fully,
    node: fully,
    fastify: fully,
    jose: lazily,
    'openid-client': lazily,
    'prom-client': lazily,
    zod: fully,
  },
  // What events of clouds mean; who does it is the engine, through an interface.
  hooks: { core: fully, engine: asTypes },
  telemetry: { core: fully, '@opentelemetry/api': fully },
  // A few builtins only where they exist: the client also runs where node: does not.
  client: { 'api/types.ts': fully, 'core/errors.ts': asTypes, 'main.ts': lazily, node: lazily },
  // What a key looks like is needed to keep one out of what goes back; undici is the client of HTTP, loaded with it.
  proxy: {
    ...coreWords,
    'core/key-shape.ts': fully,
    'core/ports.ts': asTypes,
    client: fully,
    node: fully,
    undici: lazily,
  },
  cli: {
    api: fully,
    audit: lazily,
    client: fully,
    config: fully,
    core: fully,
    doctor: lazily,
    node: fully,
    commander: fully,
    engine: lazily,
    'main.ts': lazily,
    // What closes a process, without the service that main.ts puts together.
    'main/hardening.ts': lazily,
    'main/process-parts.ts': lazily,
    // What a start finds of files, without starting.
    'main/named-files.ts': lazily,
    'log.ts': lazily,
    proxy: lazily,
    sandbox: lazily,
    server: lazily,
    'package-folder.ts': fully,
    'system.ts': fully,
  },
  sandbox: { ...coreWords, node: fully },
  config: { core: fully, node: fully, yaml: fully, zod: fully },
  'config.ts': { config: fully },
  'log.ts': { core: fully },
  'package-folder.ts': { node: fully },
  'store.ts': { core: fully, stores: fully },
  'system.ts': { core: fully, node: fully },
}

/** They put the parts together, so they may import all of them. */
export const compositionRoots: readonly string[] = ['main.ts', 'main/', 'index.ts']

export interface Ban {
  readonly name: string
  readonly pattern: RegExp
  /** What shows that the file has a thing of its own by that name. */
  readonly unless?: RegExp
  /** The files that own it, each with its reason. A file of the wrong name or one that stopped using it fails. */
  readonly owners: Readonly<Record<string, string>>
}

const clock = 'the real clock, timers and randomness'
const clientPlatform = 'what the client needs of its platform, each replaceable through an option'
const sandboxDefaults = "the sandbox's defaults, each replaceable through an option"

export const bans: readonly Ban[] = [
  {
    name: 'Date.now',
    pattern: /\bDate\.now\b/,
    owners: {
      'system.ts': clock,
      'client/platform.ts': clientPlatform,
      'sandbox/defaults.ts': sandboxDefaults,
    },
  },
  { name: 'new Date() of now', pattern: /\bnew Date\(\s*\)|(?<!new )\bDate\(\s*\)/, owners: {} },
  { name: 'Math.random', pattern: /\bMath\.random\b/, owners: { 'client/platform.ts': clientPlatform } },
  {
    name: 'timers',
    pattern: /\bset(?:Timeout|Interval|Immediate)\b|['"]node:timers/,
    owners: {
      'system.ts': clock,
      'client/platform.ts': clientPlatform,
      'sandbox/defaults.ts': sandboxDefaults,
      'main/audit.ts':
        'one write for all rows of one turn of the event loop; what writes them gets it as an argument',
      'server/silence.ts': "Node's own timer of a connection",
    },
  },
  {
    name: 'performance.now',
    pattern: /\bperformance\.now\b|\bprocess\.hrtime\b/,
    owners: { 'client/platform.ts': clientPlatform, 'system.ts': clock },
  },
  {
    name: 'global fetch',
    pattern: /\b(?<!typeof )globalThis\.fetch\b/,
    owners: {
      'client/platform.ts': clientPlatform,
    },
  },
  {
    name: 'global fetch by its bare name',
    pattern: /(?<![.\w])fetch\(/,
    unless: /\bfetch\??:|[{,(]\s*fetch\s*[,})]|\b(?:const|let|function) fetch\b/,
    owners: {},
  },
  { name: 'console', pattern: /\bconsole\b/, owners: {} },
  {
    name: 'process.stdout and process.stderr',
    pattern: /\bprocess\.std(?:out|err)\b/,
    owners: {
      'cli/output.ts': 'the only file that writes to the terminal',
      'main/log-to.ts': 'the log of a service that has no terminal of its own: an app runs it in its process',
    },
  },
  {
    name: 'process.env',
    pattern: /\bprocess\.env\b/,
    owners: {
      'cli/real-io.ts': 'hands the environment to the commands',
      'client/platform.ts': clientPlatform,
      'main/aws-rotation-function.ts': 'what Lambda runs: there is nobody to hand it in',
    },
  },
  {
    name: 'process.exit',
    pattern: /\bprocess\.exit\b/,
    owners: { 'cli/real-io.ts': 'ends the process for the commands' },
  },
  {
    name: 'reveal()',
    pattern: /\.reveal\b/,
    owners: {
      'core/fingerprint.ts': 'hashes it',
      'core/key-inspection.ts': 'looks at its shape, and tells positions and names only',
      'core/last-known-good.ts':
        'writes it into the text of the last-known-good file, which is encrypted whole',
      'core/redacted.ts': 'compares its ends with what the issuer shows of a key',
      'stores/values.ts': 'checks the value before it is written or after it was read',
      'stores/read-only.ts': 'hashes it into the version id of a store that has none',
      'stores/local.ts': 'encrypts it into the file',
      'stores/value-format.ts': 'writes it into the value that a cloud store gets',
      'stores/slot-state.ts':
        'writes it into the document beside the secret, and hashes it into a version id',
      'stores/azure-calls.ts': 'sends it as the value that Key Vault gets',
      'stores/azure-text.ts': 'reads the key out of the value of Key Vault, and writes it into one',
      'stores/kubernetes-calls.ts': 'sends the token of Kubernetes in its header',
      'stores/kubernetes-documents.ts': 'writes it into the key of the Secret that Kubernetes gets',
      'stores/google-alias-document.ts': 'reads the key out of the text that a version of Google has',
      'stores/google-documents.ts': 'hands the values of the sibling to the rules that all siblings share',
      'stores/google-keeper.ts': 'adds it as a version of the secret that keeps it at Google',
      'stores/google-promote.ts': 'adds it as the newest version of the secret at Google',
      'stores/google-text.ts': 'writes it into the text that a version of Google has',
      'stores/vault-auth.ts': 'sends what Keyturn logs in to Vault with',
      'stores/vault-calls.ts': 'sends the token of Vault in its header',
      'stores/vault-documents.ts': 'writes it into the field of the document that Vault gets',
      'doctor/environment/stand-in.ts': 'looks whether it is a reference or an id, and tells which only',
      'doctor/probe/consent.ts': 'looks whether it stands in a file of the project',
      'doctor/probe/keyed-request.ts': 'sends it in the authorization header',
      'doctor/probe/shown.ts': 'withholds what a server echoes of it',
      'doctor/bundle/scrub.ts': 'finds pieces of it in what goes to support, and takes them out',
      'issuers/openai-wire.ts': 'sends it in the authorization header',
      'issuers/workload-identity.ts': 'sends the subject token in the body of the exchange',
      'ledger/postgres-connection.ts': 'sends the password of the database when it connects',
      'audit/post.ts': 'sends the secret of a webhook, or signs with it',
      'alerts/webhook.ts': 'signs what it sends, and asks where the receiver is',
      'alerts/slack.ts': 'sends to an address that is a secret as a whole',
      'alerts/teams.ts': 'sends to an address that is a secret as a whole',
      'alerts/pagerduty.ts': 'sends the routing key in the body',
      'alerts/email.ts': 'logs in to the mail server',
      'alerts/sentry.ts': 'sends the key of the DSN in its header',
      'alerts/datadog.ts': 'sends the API key in its header',
      'server/hand-out.ts': 'hands it out in the answer',
      'client/embedded.ts': 'hands it to the app in the same process',
    },
  },
  { name: 'default exports', pattern: /\bexport default\b/, owners: {} },
  { name: 'the type that turns checking off', pattern: /(?:[:<,|&(]|\bas)\s*any\b(?!\s*[:(])/, owners: {} },
  {
    name: 'an empty catch',
    pattern: /\bcatch\s*(?:\([^)]*\)\s*)?\{\s*\}|\.catch\(\s*\(\s*\)\s*=>\s*\{\s*\}\s*\)/,
    owners: {},
  },
]

/** Found in comments as well. */
export const wordBans: readonly { readonly name: string; readonly pattern: RegExp }[] = [
  { name: 'a promise to do it later', pattern: new RegExp(['TO', 'DO|FIX', 'ME|XX', 'X\\b'].join('')) },
  { name: 'a switched-off type check', pattern: /@ts-(?!expect-error)/ },
]

export const testBans: readonly Ban[] = [
  {
    name: 'tests that are left out or stand alone',
    pattern: /\b(?:it|test|describe)(?:\.\w+)*\.(?:skip|only|todo|fails)\b/,
    owners: {},
  },
  {
    name: 'a sleep',
    pattern: /\bnode:timers\/promises\b|\bsetTimeout\(\s*(?:resolve|done|r)\b/,
    owners: {},
  },
  { name: 'a mock of time for all', pattern: /\buseFakeTimers\b/, owners: {} },
]

/** Where `@ts-expect-error` says that a type must refuse something; it fails where the type does not. */
export const typeTests = 'types/'

/** STYLE.md: split at this many lines. */
export const linesMax = 500
