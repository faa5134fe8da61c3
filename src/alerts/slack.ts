import { type AlertChannel, type AlertNotice, linesOf } from '../core/alert-notice.ts'
import { addressOf, type ChannelContext, type ReadSecret, withSecrets } from './context.ts'

export interface SlackOptions {
  readonly kind: 'slack'
  /** Of an incoming webhook. The whole of it is a secret. */
  readonly url: ReadSecret
}

/** A section takes 3,000 characters. */
const sectionCharsMax = 2_900
const marks = {
  critical: ':red_circle:',
  warning: ':large_orange_circle:',
  note: ':information_source:',
} as const

/** Slack's incoming webhooks: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (2026-11). */
export function openSlack({ url }: SlackOptions, { send }: ChannelContext): AlertChannel {
  return {
    kind: 'slack',
    deliver: (notice) =>
      withSecrets(async () =>
        send({
          url: addressOf((await url()).reveal(), 'address of the Slack webhook'),
          body: JSON.stringify(messageOf(notice)),
        }),
      ),
    close: async () => undefined,
  }
}

function messageOf(notice: AlertNotice): object {
  const mark = notice.isOver ? ':white_check_mark:' : marks[notice.severity]
  const title = escaped(notice.title)
  const text = cut(linesOf(notice).map(escaped).join('\n'))
  const link = notice.link === undefined ? '' : `\n<${escaped(notice.link)}|Open in Keyturn>`
  return {
    // What notifications show, and what is read where blocks are not.
    text: `${mark} ${title}`,
    blocks: [
      { type: 'section', text: written(`${mark} *${title}*`) },
      { type: 'section', text: written(`${text}${link}`) },
      { type: 'context', elements: [written(`${notice.code} · ${notice.severity} · ${notice.id}`)] },
    ],
  }
}

/** Verbatim: of plain words Slack makes no links, channels or mentions of its own. */
function written(text: string): object {
  return { type: 'mrkdwn', text, verbatim: true }
}

/** Not within an escaped character. */
function cut(text: string): string {
  return text.length <= sectionCharsMax ? text : text.slice(0, sectionCharsMax).replace(/&[a-z]{0,3}$/, '')
}

/** Names and sentences must not become links or mentions. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
