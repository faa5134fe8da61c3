import { redactKeys } from '../../core/key-shape.ts'
import { isLoopbackHost } from '../../core/loopback.ts'
import { nearest } from '../../core/nearest.ts'
import type { Setting } from '../facts.ts'
import { describePlace, type Finding, type Place } from '../finding.ts'
import { shellWord } from '../shell-word.ts'

export const openaiBaseUrl = 'https://api.openai.com/v1'

/** Where the calls of the program go. */
export interface Target {
  /** Without a slash at its end. */
  readonly baseUrl: string
  readonly url: URL
  /** gateway: somebody's own server that speaks the API of OpenAI, as LiteLLM does. */
  readonly kind: 'openai' | 'loopback' | 'gateway'
  /** Over TLS, or on this machine. */
  readonly maySendKey: boolean
  readonly place: Place | undefined
}

export interface BaseUrlLook {
  /** Undefined where nothing can be learned there. */
  readonly target: Target | undefined
  readonly finding: Finding | undefined
}

const regions = /^(?:us|eu|ae|au|in|jp)\.api\.openai\.com$/
/** OpenAI's sites for people. */
const sites = /^(?:www\.|platform\.|chat\.|beta\.|help\.|auth\.)?openai\.com$|^(?:www\.)?chatgpt\.com$/
const azure = /\.(?:openai\.azure\.com|cognitiveservices\.azure\.com|services\.ai\.azure\.com)$/

const vendors: Readonly<Record<string, string>> = {
  'api.anthropic.com': 'Anthropic',
  'openrouter.ai': 'OpenRouter',
  'generativelanguage.googleapis.com': 'Google',
  'api.groq.com': 'Groq',
  'api.mistral.ai': 'Mistral',
  'api.x.ai': 'xAI',
  'api.perplexity.ai': 'Perplexity',
  'api.together.xyz': 'Together',
  'api.fireworks.ai': 'Fireworks',
  'api.deepseek.com': 'DeepSeek',
  'api.cohere.com': 'Cohere',
  'api.cohere.ai': 'Cohere',
}

/** Judges the address alone. `provider`: whose key it is that goes there, where its shape tells. */
export function lookAtBaseUrl(setting: Setting | undefined, provider?: string): BaseUrlLook {
  const text = setting?.value.trim() ?? ''
  if (setting === undefined || text === '') return { target: openai(openaiBaseUrl), finding: undefined }
  const { place } = setting
  const wrong = (what: string, right = openaiBaseUrl, target?: Target): BaseUrlLook => ({
    target,
    finding: wrongBaseUrl({ place, what, right }),
  })
  const url = URL.canParse(text) ? new URL(text) : undefined
  const meant = withScheme(text)
  if (meant !== undefined) return wrong('lacks the https:// or http:// in front', meant)
  if (url === undefined) return wrong('is not a URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return wrong('is no address of HTTP')
  if (url.username !== '' || url.password !== '') return wrong('holds a user name or a password')
  const host = url.hostname
  const shown = shownUrl(url)
  if (isOpenAI(host)) return lookAtOpenAI(url, place)
  if (sites.test(host)) return wrong(`${shown} is OpenAI's site for people, not its API`)
  const vendor = azure.test(host) ? 'Azure OpenAI' : vendors[host.replace(/^www\./, '')]
  if (vendor !== undefined)
    // Their key at their address is no mistake, and nothing of OpenAI's.
    return vendor === provider
      ? { target: undefined, finding: undefined }
      : wrong(
          `${shown} is the API of ${vendor}, which ${vendor === 'Azure OpenAI' ? 'takes keys of Azure only' : 'knows no keys of OpenAI'}`,
        )
  if (nearest(host, ['api.openai.com']) !== undefined)
    return wrong(`${shown} is nearly api.openai.com, and is not`)
  if (isLoopbackHost(host)) return { target: targetOf(url, 'loopback', place), finding: undefined }
  if (url.protocol === 'http:' && !isPrivate(host))
    return wrong(`${shown} is http, so the key would cross the network in the clear`, httpsOf(url))
  return { target: targetOf(url, 'gateway', place), finding: undefined }
}

function lookAtOpenAI(url: URL, place: Place): BaseUrlLook {
  const right = `https://${url.host}/v1`
  const target = { ...openai(right), place }
  const path = url.pathname.replace(/\/+$/, '')
  if (url.protocol === 'https:' && path === '/v1' && url.search === '' && url.hash === '')
    return { target, finding: undefined }
  const shown = shownUrl(url)
  const retired = /^\/v1\/(?:engines(?:\/|$)|completions$|edits$|answers$|classifications$|search$)/.exec(
    path,
  )
  if (retired !== null) return { target, finding: retiredEndpoint({ place, path, right }) }
  const why =
    url.protocol === 'http:'
      ? 'is http, which OpenAI does not speak'
      : path === ''
        ? 'lacks the /v1 at its end'
        : path.startsWith('/v1/')
          ? 'goes on after /v1, and clients put the path of each call behind it'
          : 'is not the address of the API'
  return { target, finding: wrongBaseUrl({ place, what: `${shown} ${why}`, right }) }
}

export function isOpenAI(host: string): boolean {
  return host === 'api.openai.com' || regions.test(host)
}

export function wrongBaseUrl(about: {
  readonly place: Place | undefined
  readonly what: string
  readonly right: string
}): Finding {
  const { place, what, right } = about
  return {
    code: 'base_url_wrong',
    severity: 'error',
    seen: `${place === undefined ? 'The base URL' : describePlace(place)}: ${what}.`,
    cause: 'The base URL that the client uses is not that of the OpenAI API.',
    fix: setTo(place, right),
    ...(place === undefined ? {} : { place }),
  }
}

function retiredEndpoint(about: {
  readonly place: Place
  readonly path: string
  readonly right: string
}): Finding {
  return {
    code: 'endpoint_retired',
    severity: 'error',
    seen: `${describePlace(about.place)}: ends in ${about.path}, an endpoint of former years.`,
    cause:
      'The endpoint was retired for /responses and /chat/completions, and its 404 says nothing about the key.',
    fix: setTo(about.place, about.right),
    place: about.place,
  }
}

/** The command for a variable, the line for a file. */
function setTo(place: Place | undefined, value: string): string {
  if (place?.kind === 'file') {
    const at = place.line === undefined ? place.path : `${place.path}:${place.line}`
    return /(?:^|\/)[^/]*\.env[^/]*$/.test(place.path)
      ? `In ${at} write ${place.name ?? 'OPENAI_BASE_URL'}=${value}`
      : `In ${at} write ${value} in place of the address that is there`
  }
  const name = place?.kind === 'variable' ? place.name : 'OPENAI_BASE_URL'
  return `export ${name}=${shellWord(value)}`
}

function openai(baseUrl: string): Target {
  return { baseUrl, url: new URL(baseUrl), kind: 'openai', maySendKey: true, place: undefined }
}

function targetOf(url: URL, kind: Target['kind'], place: Place): Target {
  return {
    baseUrl: `${url.origin}${url.pathname}`.replace(/\/+$/, ''),
    url,
    kind,
    maySendKey: url.protocol === 'https:' || kind === 'loopback',
    place,
  }
}

/** `api.openai.com/v1`, `localhost:11434/v1`: the latter even parses, as an address of the scheme `localhost`. */
function withScheme(text: string): string | undefined {
  if (!/^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9][a-z0-9.-]{0,252})(?::\d{1,5})?(?:\/\S{0,200})?$/i.test(text))
    return undefined
  const host = text.replace(/(?::\d{1,5})?(?:\/.*)?$/, '')
  const isHost = host.includes('.') || host.startsWith('[') || isLoopbackHost(host)
  const url = `${isLoopbackHost(host) ? 'http' : 'https'}://${text}`
  return isHost && URL.canParse(url) ? redactKeys(url) : undefined
}

/** Names and addresses inside of a network: those of a compose file or a cluster, where plain HTTP is usual. */
function isPrivate(host: string): boolean {
  return (
    !host.includes('.') ||
    /\.(?:local|internal|lan|svc|test|localhost|home\.arpa)$/.test(host) ||
    /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.)/.test(host)
  )
}

const httpsOf = (url: URL) => `https://${url.host}${url.pathname}`.replace(/\/+$/, '')

/** Without what may be a secret: user, password, query. */
export function shownUrl(url: URL): string {
  return redactKeys(`${url.origin}${url.pathname === '/' ? '' : url.pathname}`).slice(0, 120)
}
