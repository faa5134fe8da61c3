import { type AlertChannel, type AlertNotice, linesOf } from '../core/alert-notice.ts'
import { addressOf, type ChannelContext, type ReadSecret, withSecrets } from './context.ts'

export interface TeamsOptions {
  readonly kind: 'teams'
  /** Of a workflow that posts to a channel when a webhook request is received. The whole of it is a secret. */
  readonly url: ReadSecret
}

const colors = { critical: 'attention', warning: 'warning', note: 'accent' } as const

/** Microsoft Teams by a workflow (Power Automate), which takes an Adaptive Card and answers 202. */
export function openTeams({ url }: TeamsOptions, { send }: ChannelContext): AlertChannel {
  return {
    kind: 'teams',
    deliver: (notice) =>
      withSecrets(async () =>
        send({
          url: addressOf((await url()).reveal(), 'address of the Teams workflow'),
          body: JSON.stringify(messageOf(notice)),
        }),
      ),
    close: async () => undefined,
  }
}

function messageOf(notice: AlertNotice): object {
  const { title, severity, isOver, link, code, id } = notice
  const line = (text: string, more: object = {}): object => ({
    type: 'TextBlock',
    wrap: true,
    text: plain(text),
    ...more,
  })
  const color = isOver ? 'good' : colors[severity]
  const card = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    body: [
      line(title, { weight: 'bolder', size: 'medium', color }),
      ...linesOf(notice).map((text) => line(text)),
      line(`${code} · ${severity} · ${id}`, { size: 'small', isSubtle: true }),
    ],
    ...(link === undefined
      ? {}
      : { actions: [{ type: 'Action.OpenUrl', title: 'Open in Keyturn', url: link }] }),
  }
  const contentType = 'application/vnd.microsoft.card.adaptive'
  return { type: 'message', attachments: [{ contentType, contentUrl: null, content: card }] }
}

/** A card's text is Markdown of links, lists and emphasis: what means something there is meant literally here. */
function plain(text: string): string {
  return text.replace(/[\\*_[\]#`~]/g, (character) => `\\${character}`)
}
