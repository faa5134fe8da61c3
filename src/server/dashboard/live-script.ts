/**
 * All the script there is: without it the pages are the same and show what was when they were asked for. It is told that
 * something changed, and not what; it asks for the page anew and puts the parts that differ in the place of the old ones.
 * Where it cannot, it says so on top of the page: what looks good may have been good an hour ago.
 */
export const liveScript = `'use strict'
const of = document.body.dataset.of
const said = document.getElementById('live-state')
const news = document.getElementById('live-news')
const stale = document.getElementById('live-stale')
const clock = () => new Date().toLocaleTimeString()
let isAsking = false
let isDue = false
let lastAt = clock()

// What was done was done once: the address says so no longer when the page is loaded again or kept.
if (new URLSearchParams(location.search).has('done')) history.replaceState(null, '', location.pathname)

async function refresh() {
  if (isAsking) {
    isDue = true
    return
  }
  isAsking = true
  isDue = false
  try {
    const answer = await fetch(location.href, {
      headers: { accept: 'text/html', 'keyturn-live': '1' },
      credentials: 'same-origin',
      redirect: 'manual',
      // A connection that leads nowhere says nothing.
      signal: AbortSignal.timeout(20000),
    })
    if (answer.type === 'opaqueredirect' || answer.status === 401) return location.reload()
    if (!answer.ok) return warn('Keyturn answers with an error (' + answer.status + ').')
    swap(new DOMParser().parseFromString(await answer.text(), 'text/html'))
    lastAt = clock()
    stale.hidden = true
    said.textContent = 'Brought up to date at ' + lastAt + '.'
  } catch {
    warn('Keyturn does not answer.')
  } finally {
    isAsking = false
    if (isDue) refresh()
  }
}

function warn(what) {
  const text = what + ' This page shows what was at ' + lastAt + '.'
  if (stale.textContent !== text) stale.textContent = text
  stale.hidden = false
  said.textContent = 'Not live: trying again.'
}

const reachable = 'a, button, summary, [tabindex]'

function swap(fresh) {
  const before = headline()
  for (const part of document.querySelectorAll('[data-live]')) {
    const next = fresh.getElementById(part.id)
    if (next === null || next.innerHTML === part.innerHTML || isBeingCopied(part)) continue
    const open = [...part.querySelectorAll('details')].map((one) => one.open)
    const active = document.activeElement
    const place = part.contains(active) ? [...part.querySelectorAll(reachable)].indexOf(active) : -1
    part.replaceChildren(...next.cloneNode(true).childNodes)
    part.querySelectorAll('details').forEach((one, index) => { one.open = open[index] ?? false })
    if (place >= 0) {
      const same = active.id === '' ? part.querySelectorAll(reachable)[place] : document.getElementById(active.id)
      const there = same ?? document.getElementById('main')
      there.focus({ preventScroll: true })
    }
  }
  // Ages grow all the time; read out is only what somebody would look up for.
  const after = headline()
  if (after !== before) news.textContent = after
}

function headline() {
  return document.querySelector('.verdict, .big')?.textContent.trim() ?? ''
}

function isBeingCopied(part) {
  const chosen = getSelection()
  return chosen !== null && !chosen.isCollapsed && part.contains(chosen.anchorNode)
}

let source
let retry
let isSeeking = false
let giveSeat

// Browsers have six connections for all pages of one service: four at most are kept, and not by pages that nobody looks
// at, so that there is always one to load a page with. Whoever has none asks now and then.
async function seat() {
  if (navigator.locks === undefined) return () => undefined
  for (const number of [1, 2, 3, 4]) {
    const give = await new Promise((resolve) => {
      navigator.locks.request('keyturn-live-' + number, { ifAvailable: true }, (lock) =>
        lock === null ? resolve(undefined) : new Promise((done) => resolve(done)))
    })
    if (give !== undefined) return give
  }
}

async function listen() {
  clearTimeout(retry)
  if (source !== undefined || isSeeking || document.visibilityState !== 'visible') return
  isSeeking = true
  giveSeat = await seat()
  isSeeking = false
  if (giveSeat === undefined) return refresh()
  if (document.visibilityState !== 'visible') return leave()
  source = new EventSource('/changes' + (of === '' ? '' : '?of=' + encodeURIComponent(of)))
  source.addEventListener('changed', refresh)
  source.addEventListener('open', () => { said.textContent = 'Live.'; refresh() })
  source.addEventListener('ended', again)
  source.addEventListener('error', () => {
    // Closed for good: too many pages are open, or the session has ended. The page itself tells which.
    if (source?.readyState === EventSource.CLOSED) again()
    else refresh()
  })
}

function again() {
  leave()
  retry = setTimeout(listen, 10000)
  refresh()
}

function leave() {
  clearTimeout(retry)
  source?.close()
  source = undefined
  giveSeat?.()
  giveSeat = undefined
}

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') listen()
  else leave()
})
addEventListener('pagehide', leave)
addEventListener('pageshow', (event) => { if (event.persisted) listen() })
// Ages grow although nothing happens.
setInterval(() => {
  if (document.visibilityState !== 'visible') return
  listen()
  refresh()
}, 30000)
listen()
`
