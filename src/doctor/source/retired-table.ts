/**
 * What OpenAI has shut down, and what it names in its place: its page of deprecations, as it was in November 2026
 * (https://developers.openai.com/api/docs/deprecations). What is announced for later is left out: it works.
 */
export interface RetiredModel {
  /** Of the whole name: `davinci` is not `davinci-002`. */
  readonly pattern: RegExp
  readonly instead: string
  /** Since when calls are refused. */
  readonly since: string
}

const small = 'gpt-5.6-terra'
const large = 'gpt-5.6-sol'
const embedding = 'text-embedding-3-small'

export const retiredModels: readonly RetiredModel[] = [
  { pattern: /^code-(?:davinci|cushman)-00[12]$/, instead: small, since: '2023-03-23' },
  { pattern: /^text-davinci-00[123]$/, instead: small, since: '2024-01-04' },
  { pattern: /^text-(?:curie|babbage|ada)-001$/, instead: small, since: '2024-01-04' },
  { pattern: /^(?:davinci|curie|babbage|ada)(?:-instruct-beta)?$/, instead: small, since: '2024-01-04' },
  { pattern: /^(?:text|code)-davinci-(?:edit|insert)-\d{3}$/, instead: small, since: '2024-01-04' },
  {
    pattern: /^text-(?:similarity|search)-(?:davinci|curie|babbage|ada)-(?:(?:doc|query)-)?001$/,
    instead: embedding,
    since: '2024-01-04',
  },
  { pattern: /^code-search-(?:babbage|ada)-(?:code|text)-001$/, instead: embedding, since: '2024-01-04' },
  { pattern: /^gpt-4-32k(?:-0314|-0613)?$/, instead: large, since: '2025-06-06' },
  { pattern: /^gpt-3\.5-turbo-(?:0301|0613|16k|16k-0613)$/, instead: small, since: '2024-09-13' },
  { pattern: /^gpt-4-(?:1106-)?vision-preview$/, instead: large, since: '2024-12-06' },
  { pattern: /^gpt-4\.5-preview(?:-2025-02-27)?$/, instead: large, since: '2025-07-14' },
  { pattern: /^o1-preview(?:-2024-09-12)?$/, instead: large, since: '2025-07-28' },
  { pattern: /^o1-mini(?:-2024-09-12)?$/, instead: small, since: '2025-10-27' },
  {
    pattern: /^text-moderation-(?:007|stable|latest)$/,
    instead: 'omni-moderation-latest',
    since: '2025-10-27',
  },
  { pattern: /^chatgpt-4o-latest$/, instead: large, since: '2026-02-17' },
  {
    pattern: /^gpt-4-(?:0314|1106-preview|0125-preview|turbo-preview)$/,
    instead: large,
    since: '2026-03-26',
  },
  {
    pattern: /^(?:gpt-3\.5-turbo-(?:instruct(?:-0914)?|1106)|babbage-002|davinci-002)$/,
    instead: small,
    since: '2026-09-28',
  },
  { pattern: /^gpt-3\.5-turbo(?:-0125)?$/, instead: small, since: '2026-10-23' },
  { pattern: /^gpt-4(?:-0613)?$/, instead: large, since: '2026-10-23' },
  { pattern: /^gpt-4-turbo(?:-2024-04-09)?$/, instead: large, since: '2026-10-23' },
  { pattern: /^(?:o1(?:-2024-12-17)?|o3-mini(?:-2025-01-31)?)$/, instead: large, since: '2026-10-23' },
  { pattern: /^o4-mini(?:-2025-04-16)?$/, instead: small, since: '2026-10-23' },
]

export interface RetiredCall {
  readonly pattern: RegExp
  readonly what: string
  readonly instead: string
}

/** Calls of the library's old forms whose endpoints are gone. */
export const retiredCalls: readonly RetiredCall[] = [
  {
    pattern: /\bopenai\.Engine\.(?:list|retrieve)\s{0,5}\(/g,
    what: 'openai.Engine',
    instead: 'client.models.list()',
  },
  {
    pattern: /\bopenai\.(?:Answer|Classification|Search)\.create\s{0,5}\(/g,
    what: 'an endpoint of 2021',
    instead: 'client.responses.create(…)',
  },
  { pattern: /\bopenai\.Edit\.create\s{0,5}\(/g, what: 'openai.Edit', instead: 'client.responses.create(…)' },
  {
    pattern: /\bopenai\.Completion\.a?create\s{0,5}\(/g,
    what: 'openai.Completion',
    instead: 'client.responses.create(…)',
  },
  { pattern: /\.createEdit\s{0,5}\(/g, what: 'createEdit', instead: 'client.responses.create(…)' },
]

/** Addresses that are written out. */
export const retiredPath =
  /\bapi\.openai\.com\/v1\/(engines(?:\/[\w.-]{1,60})?(?:\/completions)?|edits|answers|classifications|search|completions)(?![\w/-])/
