import { within } from '../client/deadline.ts'
import type { Cancel } from '../core/ports.ts'

/** How long the service may take to hear a last word. */
const farewellMs = 1_000

/** Says it, and goes on when it was heard, refused, or not answered in time. */
export async function farewell(
  say: () => Promise<void>,
  after: (delayMs: number, callback: () => void) => Cancel,
): Promise<void> {
  await within({ after }, farewellMs, say())
}
