/**
 * All the script there is: without it the pages are the same and show what was when they were asked for. It is told that
 * something changed, and not what; it asks for the page anew and puts the parts that differ in the place of the old ones.
 */
export const liveScript = `'use strict'
const of = document.body.dataset.of
const said = document.getElementById('live-state')
let isAsking = false
let isDue = false

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
    })
    if (answer.type === 'opaqueredirect' || answer.status === 401) return location.reload()
    if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), 'text/html'))
  } catch {
    said.textContent = 'Keyturn does not answer; the page shows what was.'
  } finally {
    isAsking = false
    if (isDue) refresh()
  }
}

function swap(fresh) {
  let isChanged = false
  for (const part of document.querySelectorAll('[data-live]')) {
    const next = fresh.getElementById(part.id)
    if (next === null || next.innerHTML === part.innerHTML) continue
    const open = [...part.querySelectorAll('details')].map((one) => one.open)
    const focused = part.contains(document.activeElement) ? document.activeElement.id : ''
    const scrolled = [...part.querySelectorAll('.scrolls')].map((one) => one.scrollLeft)
    part.replaceChildren(...next.cloneNode(true).childNodes)
    part.querySelectorAll('details').forEach((one, index) => { one.open = open[index] ?? false })
    part.querySelectorAll('.scrolls').forEach((one, index) => { one.scrollLeft = scrolled[index] ?? 0 })
    if (focused !== '') document.getElementById(focused)?.focus({ preventScroll: true })
    isChanged = true
  }
  if (isChanged) said.textContent = 'Brought up to date at ' + new Date().toLocaleTimeString() + '.'
}

const source = new EventSource('/changes' + (of === '' ? '' : '?of=' + encodeURIComponent(of)))
source.addEventListener('changed', refresh)
// Something may have happened while nobody listened.
let isFirst = true
source.addEventListener('open', () => {
  if (!isFirst) refresh()
  isFirst = false
  said.textContent = 'Live.'
})
source.addEventListener('ended', () => { source.close(); location.reload() })
source.addEventListener('error', () => { said.textContent = 'Not live: trying again.' })
// Ages grow although nothing happens.
setInterval(() => { if (document.visibilityState === 'visible') refresh() }, 30000)
addEventListener('pagehide', () => source.close())
`
