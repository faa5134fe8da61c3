import { once } from 'node:events'
import { request } from 'node:https'
import { openAccess } from '../../src/stores/kubernetes-access.ts'
import { emulatorSuite, fromEnvironment } from '../emulators/suites/deviations.ts'
import { testContext } from '../stores/fakes/system.ts'
import { liveHarness } from './harness.ts'

const kubeconfig = fromEnvironment('KUBECONFIG')
const namespace = process.env['KEYTURN_LIVE_KUBERNETES_NAMESPACE']
const place = { kubeconfig, ...(namespace ? { namespace } : {}) }
const callMs = 10_000

/** The driver never deletes a Secret: this does, with the same login. */
async function remove(name: string): Promise<void> {
  const access = await openAccess(place, testContext('.', process.env))
  const { token, tls } = await access.credentials()
  const { serverName, ...trust } = tls
  const path = `/api/v1/namespaces/${namespace ?? access.namespace}/secrets/${name}`
  const outgoing = request(access.server + path, {
    method: 'DELETE',
    headers: token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` },
    signal: AbortSignal.timeout(callMs),
    ...trust,
    ...(serverName === undefined ? {} : { servername: serverName }),
  })
  outgoing.end()
  const [answer] = await once(outgoing, 'response')
  answer.resume()
  if (![200, 202, 404].includes(answer.statusCode))
    throw new Error(`${name} is left behind: the API server answered ${answer.statusCode}.`)
}

emulatorSuite('kubernetes', () => liveHarness({ kind: 'kubernetes', ...place }, remove))
