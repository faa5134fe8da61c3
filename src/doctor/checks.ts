import type { Check } from './check.ts'

/** Every check, in the order in which they run: environment, dotenv, source, manifests, network, keyturn. */
export const checks: readonly Check[] = []
