import { looksLikeKey } from '../../core/key-shape.ts'
import type { Api } from '../api.ts'
import { argument, type Context, type ServiceOffer, serviceOffers } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'

/** Whoever presses the tab key waits no longer. */
const waitMs = 1_000
/** More are no help. */
const valuesMax = 500

/** A line is no place for what is not drawn, and what begins with a dash would be an option. */
const offerable = /^[^\p{C}\p{Zl}\p{Zp}-][^\p{C}\p{Zl}\p{Zp}]{0,199}$/u

/** Whatever goes wrong is silent: it would stand in the middle of what somebody types. */
export async function run(context: Context): Promise<ExitCode> {
  const { io, out } = context
  const stop = io.after(waitMs, () => io.exit(exitCodes.done))
  try {
    const found = await valuesOf(context)
    const items = [...new Set(found)].filter((one) => offerable.test(one) && !looksLikeKey(one))
    const shown = items.toSorted().slice(0, valuesMax)
    out.result({ items: shown }, () => shown)
  } catch {
    if (out.isJson) out.result({ items: [] }, () => [])
  } finally {
    stop()
  }
  return exitCodes.done
}

async function valuesOf(context: Context): Promise<readonly string[]> {
  const [asked, name] = [argument(context, 0), argument(context, 1)]
  const kind = serviceOffers.find((known) => known === asked)
  if (kind === undefined) return []
  // Credentials are listed to apps as well.
  const api = await context.api('operator').catch(() => context.api('app'))
  return await lookups[kind](api, name)
}

const lookups: Readonly<Record<ServiceOffer, (api: Api, name: string) => Promise<readonly string[]>>> = {
  credentials: async (api) => (await api.summaries()).map((one) => one.name),
  versions: async (api, name) => (await api.versions(name)).map((one) => one.version),
  rotations: async (api, name) => (await api.rotations(name)).map((one) => one.id),
  approvals: async (api, name) => (await api.approvals(name)).map((one) => one.id),
  instances: async (api, name) => (await api.leases(name)).map((one) => one.instance),
  tokens: async (api) => (await api.tokens()).map((one) => one.id),
  'token-names': async (api) => (await api.tokens()).map((one) => one.name),
}
