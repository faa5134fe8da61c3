import {
  type AwsClientOptions,
  type AwsSdkModule,
  type AwsVersionId,
  loadAwsSdk,
  openAwsCalls,
} from './aws-calls.ts'
import { currentLabel, removeLabel, rotationLabel } from './aws-labels.ts'
import type { StoreContext } from './context.ts'

/** What AWS's own rotation needs to know of a secret, beside what a store tells. */
export interface AwsRotations {
  /** Undefined: AWS says that there is no such secret. Fails as the driver does, with `store_*` codes. */
  look(
    ref: string,
  ): Promise<
    { readonly isRotated: boolean; readonly labels: ReadonlyMap<string, readonly string[]> } | undefined
  >
  /** Takes AWSPENDING off a version, unless that is current. Safe to repeat. */
  release(ref: string, version: AwsVersionId): Promise<void>
  close(): void
}

/** Over the same client as the driver: its options, timeouts and rules for endpoints. */
export async function openAwsRotations(
  options: AwsClientOptions,
  context: StoreContext,
  load: () => Promise<AwsSdkModule> = loadAwsSdk,
): Promise<AwsRotations> {
  const calls = await openAwsCalls(options, context, load)
  return {
    async look(ref) {
      const found = await calls.describe(ref)
      // As AWS's own templates have it (2026-11): off is what says so, and not what is left out.
      return found === undefined ? undefined : { isRotated: found.isRotated !== false, labels: found.labels }
    },
    async release(ref, version) {
      const labels = (await calls.describe(ref))?.labels.get(version) ?? []
      if (!labels.includes(rotationLabel) || labels.includes(currentLabel)) return
      await removeLabel(calls, { ref, label: rotationLabel, version })
    },
    close: () => calls.close(),
  }
}
