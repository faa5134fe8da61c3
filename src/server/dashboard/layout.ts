import { type Html, html } from './html.ts'
import { exact, sentence } from './words.ts'

export interface PageOptions {
  readonly title: string
  readonly body: Html
  /** Who is signed in; absent: nobody. */
  readonly signedIn?: { readonly name: string; readonly csrf: string; readonly mayAudit: boolean }
  /** Which credential the page is of; empty: of all. Absent: nothing on it changes by itself. */
  readonly live?: string
  /** When it was made. */
  readonly now: number
  readonly isSandbox: boolean
  readonly version: string
}

/**
 * Nothing is loaded from elsewhere, nothing inline runs, no other page frames it, no form goes elsewhere. `same-origin` and
 * not `no-referrer`: under that browsers say of their own forms that they come from nowhere.
 */
export const pageHeaders = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'referrer-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
} as const

export function page({ title, body, signedIn, live, now, isSandbox, version }: PageOptions): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title} · Keyturn</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/style.css">
${live === undefined ? '' : html`<script src="/assets/live.js" defer></script>`}
</head>
<body${live === undefined ? '' : html` data-of="${live}"`}>
<a class="skip" href="#main">To the content</a>
<header>
<a class="brand" href="/">Keyturn</a>
${signedIn === undefined ? '' : navigation(signedIn)}
</header>
${isSandbox ? html`<aside class="sandbox" aria-label="Sandbox">Sandbox: no key here opens anything at OpenAI.</aside>` : ''}
${live === undefined ? '' : html`<p id="live-stale" class="stale" role="alert" hidden></p>`}
<main id="main" tabindex="-1">
${body}
</main>
<footer><p>Keyturn ${version}. ${signedIn !== undefined && html`<span id="live-state">As of ${exact(new Date(now).toISOString())}.</span>`}</p>
${live === undefined ? '' : html`<p id="live-news" class="unseen" role="status"></p>`}</footer>
</body>
</html>
`.toString()
}

function navigation({ name, csrf, mayAudit }: NonNullable<PageOptions['signedIn']>): Html {
  return html`<nav aria-label="Main">
<a href="/">Credentials</a>
${mayAudit && html`<a href="/audit">Audit</a>`}
</nav>
<form class="who" method="post" action="/signout">
<input type="hidden" name="csrf" value="${csrf}">
<span>Signed in as <strong>${name}</strong></span>
<button>Sign out</button>
</form>`
}

/** What went wrong, with what to do. Read out at once. */
export function problemBox(error: { readonly message: string; readonly fix?: string | undefined }): Html {
  return html`<div class="box bad" role="alert"><p><strong>${sentence(error.message)}</strong></p>${
    error.fix === undefined ? '' : html`<p>${error.fix}</p>`
  }</div>`
}
