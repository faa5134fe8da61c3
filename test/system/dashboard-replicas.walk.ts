import { expect, it, onTestFinished } from 'vitest'
import { type PostgresServer, startPostgres } from '../postgres/server.ts'
import { type Browser, createBrowser } from '../server/dashboard/browser.ts'
import { until, untilReady } from './harness.ts'
import { spawnService } from './process.ts'
import { type Fleet, type Replica, startFleet } from './replicas.ts'

/** Two real services that share a key for sessions, and somebody who is signed in at both. */
async function signedInAtBoth(): Promise<{
  readonly fleet: Fleet
  readonly here: Replica
  readonly there: Replica
  readonly browser: Browser
  readonly server: PostgresServer
}> {
  const server = await startPostgres({ isDurable: true })
  onTestFinished(() => server.stop())
  const fleet = await startFleet(server.address, { count: 2 })
  const [here, there] = fleet.replicas
  if (here === undefined || there === undefined) throw new Error('two replicas were asked for')
  const browser = createBrowser(here.rig)
  await browser.open('/signin')
  await browser.submit('/signin', { token: here.rig.operatorToken() })
  expect((await browser.open('/')).status).toBe(200)
  expect((await at(there, browser.cookie).open('/')).status).toBe(200)
  return { fleet, here, there, browser, server }
}

function at({ rig }: Replica, cookie: string): Browser {
  const browser = createBrowser(rig)
  browser.cookie = cookie
  return browser
}

it('who signs out at one replica is signed out at the other too, and after all have started anew', async () => {
  const { here, there, browser } = await signedInAtBoth()
  const { cookie } = browser
  const live = await fetch(`${there.rig.url}/changes`, { headers: { cookie } })
  const ended = live.text()
  expect((await browser.submit('/signout')).location).toBe('/signin')
  await until(
    'the copy of the cookie is refused at the other replica',
    () => at(there, cookie).open('/'),
    ({ location }) => location === '/signin',
  )
  expect(await ended).toContain('event: ended')
  for (const replica of [here, there]) {
    await replica.service.kill()
    replica.service = await spawnService(replica.rig)
    await untilReady(replica.rig)
    expect((await at(replica, cookie).open('/')).location).toBe('/signin')
  }
})

it('signing out is done while the database is away, and told when it is back', async () => {
  const { here, there, browser } = await signedInAtBoth()
  const { cookie } = browser
  here.proxy.drop()
  await browser.submit('/signout')
  await until(
    'the replica that was asked refuses the cookie, without the database too',
    () => at(here, cookie).open('/'),
    ({ location }) => location === '/signin',
  )
  expect((await at(there, cookie).open('/')).status).toBe(200)
  here.proxy.heal()
  await until(
    'the other replica has been told',
    () => at(there, cookie).open('/'),
    ({ location }) => location === '/signin',
    30_000,
  )
})
