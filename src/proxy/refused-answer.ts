import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { isRecord, parseJson } from '../client/wire.ts'
import { redactKeys } from '../core/key-shape.ts'
import { single, type UpstreamHeaders } from './response-head.ts'

/** What the upstream said no with, read whole. */
export interface RefusedAnswer {
  readonly status: number
  readonly headers: UpstreamHeaders
  /** Undefined where it was longer than it may be. */
  readonly body: Buffer | undefined
}

const decoders: Readonly<Record<string, (body: Buffer, options: { maxOutputLength: number }) => Buffer>> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
}

/** The text, whatever it was compressed with; undefined where it cannot be read, or is no text. */
export function textOf({ headers, body }: RefusedAnswer, bytesMax: number): string | undefined {
  const encoding = single(headers, 'content-encoding')?.trim().toLowerCase() ?? 'identity'
  const decode = encoding === 'identity' ? (bytes: Buffer) => bytes : decoders[encoding]
  if (body === undefined || decode === undefined) return undefined
  try {
    const bytes = body.length === 0 ? body : decode(body, { maxOutputLength: bytesMax })
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // Broken, or longer than is read of it: it cannot be looked through, so it is as good as absent.
    return undefined
  }
}

/**
 * Whether it is conclusive that the key itself was refused: OpenAI's own envelope with its own code. A missing scope, a
 * wrong organisation or a page of something in between is about something else, which another key would not mend.
 */
export function isKeyRefused(status: number, text: string | undefined): boolean {
  if (status !== 401 || text === undefined) return false
  const body = parseJson(text)
  const error = isRecord(body) ? body['error'] : undefined
  return isRecord(error) && error['code'] === 'invalid_api_key'
}

/** Keys as OpenAI shows them in its errors: their beginning, marks or dots, their end. */
const masked = /\bsk-[A-Za-z0-9_-]{0,64}(?:[*…]+|\.{2,}|\\u2026)[A-Za-z0-9_*-]{0,64}/g

/** Without the key, whole or in part: an upstream quotes it when it refuses it. */
export function scrubbed(text: string, key: string): string {
  return redactKeys(text.replaceAll(key, '[key]').replace(masked, '[key]'))
}
