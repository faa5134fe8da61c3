import type { ConfigSources } from '../config/types.ts'

/** The engine's own judge of cron expressions, loaded only where a configuration is read. */
export async function cronCheck(): Promise<Required<Pick<ConfigSources, 'assertValidCron' | 'occurrences'>>> {
  const { assertValidCron, createOccurrences } = await import('../engine/cron.ts')
  return { assertValidCron, occurrences: createOccurrences() }
}
