import { type Exposed, readExposition } from '../server/exposition.ts'
import type { Rig } from './harness.ts'

/** What the service tells Prometheus now, read as Prometheus reads it. */
export async function scrape(rig: Rig): Promise<Exposed> {
  const response = await fetch(`${rig.url}/metrics`, {
    headers: { authorization: `Bearer ${rig.operatorToken()}` },
  })
  return readExposition(await response.text())
}
