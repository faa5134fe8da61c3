/** More doublings than this are never needed before the longest pause is reached, and stay far from overflow. */
const doublingsMax = 20

/** How long to wait after so many failures in a row: doubling from `retryBaseMs` up to `retryMaxMs`, in milliseconds. */
export function backoffMs(
  { retryBaseMs, retryMaxMs }: { readonly retryBaseMs: number; readonly retryMaxMs: number },
  failures: number,
): number {
  return Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(failures, doublingsMax))
}
