import type { HeadPlace } from './heads.ts'
import { originOf, post, type WebhookOptions } from './post.ts'
import type { Sink } from './sink.ts'

/** Rows to somebody's server; an answer of 2xx says that it has them. It may get rows twice, and tells them by `seq`. */
export function createWebhookSink(options: WebhookOptions): Sink {
  return {
    name: originOf(options.url),
    isConfirming: true,
    write: ({ text }) => post(options, text),
    close: async () => undefined,
  }
}

export function createWebhookHeads(options: WebhookOptions): HeadPlace {
  return {
    name: originOf(options.url),
    put: (head) => post(options, `${JSON.stringify(head)}\n`),
  }
}
