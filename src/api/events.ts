/** What may stand as `event:` in an event stream, and what it says; docs/reference/events.md is made of it. */
export const eventKinds = {
  hello:
    'The first message of a stream: the current generation, and `lastEventId`, after which nothing was missed.',
  promoted: 'Another key is handed out now: `version` names it. Ask for it.',
  verdict: 'A verification came to another verdict: `version`, `verdict`, `cause`, `summary` and `fix`.',
  revoking: 'An old key, `version`, is about to be revoked at the issuer.',
  rotation: 'A rotation went on: `phase`, and `outcome` where it is over.',
  retirement: 'The retirement of an old key went on.',
  outage: 'No key is handed out any more: `summary` says why, `fix` what to do.',
  alert: 'Something needs a person: `code` says what, `summary` and `fix` the rest.',
  bye: 'The last message: the service stops, or the token is no longer good. Come back.',
} as const
