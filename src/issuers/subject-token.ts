import type { SubjectProblem } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import type { IssuerContext } from './openai-wire.ts'

/** Where what proves this workload's identity comes from. Obtained anew for each exchange: all of them rotate. */
export type SubjectTokenSource =
  /** Written by somebody else, such as the kubelet (a projected service account token). Absolute. */
  | { readonly kind: 'file'; readonly path: string }
  /** The name of the variable, not what is in it. */
  | { readonly kind: 'env'; readonly variable: string }
  | AzureSource
  | GoogleSource

/** The managed identity of an Azure machine, from its Instance Metadata Service. */
export interface AzureSource {
  readonly kind: 'azure'
  /** What the token is asked for: the audience that the provider at OpenAI expects. */
  readonly resource: string
  /** Which of several user-assigned identities; none: the only one. */
  readonly clientId?: string
  readonly objectId?: string
  readonly resourceId?: string
  /** Default http://169.254.169.254, which only the machine itself reaches. */
  readonly endpoint?: string
}

/** The identity of a Google Cloud workload, from its metadata server. */
export interface GoogleSource {
  readonly kind: 'google'
  readonly audience: string
  /** Default http://metadata.google.internal. */
  readonly endpoint?: string
}

export type SubjectToken =
  | { readonly kind: 'token'; readonly token: Secret }
  | { readonly kind: 'problem'; readonly problem: SubjectProblem }

export interface SubjectTokenContext extends Pick<IssuerContext, 'system' | 'fetch'> {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Tokens with many claims take a few kilobytes. */
export const subjectTokenCharactersMax = 65_536

/** One token of visible ASCII, white space around it aside; its shape is the issuer's to judge. */
export function tokenIn(text: string, told: { readonly where: string; readonly fix: string }): SubjectToken {
  const token = text.trim()
  const { where, fix } = told
  if (token === '') return { kind: 'problem', problem: { summary: `${where} holds no identity token.`, fix } }
  if (token.length > subjectTokenCharactersMax || !/^[\x21-\x7e]+$/.test(token))
    return { kind: 'problem', problem: { summary: `${where} holds something that is no token.`, fix } }
  return { kind: 'token', token: new Secret(token) }
}
