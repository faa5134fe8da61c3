import { type Html, html } from './html.ts'
import { problemBox } from './layout.ts'

export function signInBody(options: {
  readonly next: string
  readonly isPrivate: boolean
  /** Where else to sign in. */
  readonly issuer?: string | undefined
  readonly problem?: { readonly message: string; readonly fix?: string | undefined }
}): Html {
  const { next, isPrivate, issuer, problem } = options
  const unsafe = {
    message: 'This connection is not encrypted: whoever listens on the way would read the token.',
    fix: 'Open the page over HTTPS, or on the machine that Keyturn runs on, as http://localhost.',
  }
  return html`<div class="narrow">
<h1>Sign in</h1>
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
