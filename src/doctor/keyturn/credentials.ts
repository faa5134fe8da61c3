import type { Check } from '../check.ts'
import type { DoctorContext } from '../context.ts'
import type { Facts, KeyturnCredential, Setting } from '../facts.ts'
import type { Finding } from '../finding.ts'
import { networkCheck } from '../probe/network-check.ts'

/** Each takes a handful of requests, and all of them together no longer than one. */
const credentialsMax = 20

/** Before a deploy: that the key of every configured credential works, each at its own address. */
export const credentials: Check = {
  name: 'credentials',
  needsNetwork: true,
  async run(facts, context) {
    if (!context.options.isThorough) return []
    const others = (facts.keyturn?.credentials ?? []).filter((one) => !isAsked(one, facts))
    const findings = await Promise.all(
      others.slice(0, credentialsMax).map((one) => proveKey(one, facts, context)),
    )
    return findings.flat()
  },
}

/** What the program uses is proven already. */
function isAsked({ stored }: KeyturnCredential, { key }: Facts): boolean {
  return stored.kind !== 'found' || key?.text.equals(stored.secret) === true
}

async function proveKey(
  credential: KeyturnCredential,
  facts: Facts,
  context: DoctorContext,
): Promise<readonly Finding[]> {
  const { stored, name, store, expectation } = credential
  if (stored.kind !== 'found') return []
  const place = { kind: 'credential', name, store } as const
  const setting = (value: string | undefined): Setting | undefined =>
    value === undefined ? undefined : { value, place }
  return networkCheck.run(
    {
      ...facts,
      key: { text: stored.secret, place },
      baseUrl: setting(credential.baseUrl),
      organization: setting(expectation.organization),
      project: setting(expectation.project),
      models: (expectation.models ?? []).map((value) => ({ value, place })),
    },
    // Steps of several at once would be told over one another.
    { ...context, onStep: () => undefined },
  )
}
