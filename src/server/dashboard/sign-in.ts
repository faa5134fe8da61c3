import { type Html, html } from './html.ts'
import { problemBox } from './layout.ts'

/** Why somebody who was signed in has to do it again: the session ended, and perhaps before a form was sent. */
export type Ended = 'session' | 'form'

const endedWords: Readonly<Record<Ended, string>> = {
  session:
    'Your session has ended: after an hour without a request, after eight hours, when the service was started anew, or with your token.',
  form: 'Your session had ended before this was sent: nothing was done. Sign in, and ask for it again on the page of the credential.',
}

export function signInBody(options: {
  readonly next: string
  readonly ended?: Ended | undefined
  readonly isPrivate: boolean
  /** Where else to sign in. */
  readonly issuer?: string | undefined
  readonly problem?: { readonly message: string; readonly fix?: string | undefined }
}): Html {
  const { next, ended, isPrivate, issuer, problem } = options
  const unsafe = {
    message: 'This connection is not encrypted: whoever listens on the way would read the token.',
    fix: 'Open the page over HTTPS, or on the machine that Keyturn runs on, as http://localhost.',
  }
  return html`<div class="narrow">
<h1>Sign in</h1>
${ended !== undefined && html`<p class="box" role="status">${endedWords[ended]}</p>`}
${problem === undefined ? '' : problemBox(problem)}
${issuer !== undefined && isPrivate && html`<p><a class="button primary" href="/signin/issuer?next=${encodeURIComponent(next)}">Sign in at ${new URL(issuer).host}</a></p><p class="hint">or</p>`}
${isPrivate ? form(next) : problemBox(unsafe)}
</div>`
}

function form(next: string): Html {
  return html`<form method="post" action="/signin" class="stack">
<input type="hidden" name="next" value="${next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus spellcheck="false" aria-describedby="token-help">
<p id="token-help" class="hint">An operator token, or one with the grant <code>dashboard</code>: <code>keyturn token create --role operator</code> makes one. The page keeps its id and not the token.</p>
<button class="primary">Sign in</button>
</form>`
}

/** Browsers keep the session's cookie to themselves when a link of another site is followed; from this page they send it. */
export function onwards(path: string): string {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Keyturn</title>
<meta http-equiv="refresh" content="${`0;url=${path}`}"></head>
<body><p><a href="${path}">Go on to Keyturn</a></p></body></html>
`.toString()
}
