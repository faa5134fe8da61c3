import OpenAI from 'openai'
import { onTestFinished } from 'vitest'
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/index.ts'

/** 2026-11-20T12:00:00Z, on a full minute so that rate-limit windows begin with the test. */
export const START = Date.UTC(2026, 10, 20, 12)

export interface VirtualClock {
  readonly now: () => number
  advance(ms: number): void
}

export function virtualClock(start = START): VirtualClock {
  let at = start
  return {
    now: () => at,
    advance: (ms) => {
      at += ms
    },
  }
}

/** A sandbox on a virtual clock and with edges that agree, unless the options say otherwise. */
export async function open(options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = await startSandbox({
    now: virtualClock().now,
    ...options,
    knobs: { activationMs: 0, revocationMs: 0, updateMs: 0, lastUsedLagMs: 0, ...options.knobs },
  })
  onTestFinished(() => sandbox.close())
  return sandbox
}

/** The official SDK, never retrying, with nothing taken from the environment. */
export function sdk(sandbox: Sandbox, apiKey: string, options: Record<string, unknown> = {}): OpenAI {
  return new OpenAI({
    apiKey,
    adminAPIKey: sandbox.adminKey(),
    baseURL: sandbox.baseUrl,
    organization: null,
    project: null,
    maxRetries: 0,
    ...options,
  })
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: {
    error?: { message: string; type: string; param: string | null; code: string | null }
    [name: string]: unknown
  }
}

/** One raw request. The path is below `/v1`. */
export async function ask(
  sandbox: Sandbox,
  path: string,
  options: { key?: string; method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { key, method = options.body === undefined ? 'GET' : 'POST', body } = options
  const response = await fetch(`${sandbox.baseUrl}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('application/json') ?? false
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : {} }
}

export const chatBody = { model: 'gpt-5-mini', messages: [{ role: 'user', content: 'Hello' }] }
export const responseBody = { model: 'gpt-5-mini', input: 'Hello' }
