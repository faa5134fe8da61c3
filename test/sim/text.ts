/** All text that a value holds, those of errors and their causes included: where a secret could hide. */
export function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (!(inner instanceof Error)) return inner
    const { name, message, cause } = inner
    const fix = 'fix' in inner ? inner.fix : undefined
    const code = 'code' in inner ? inner.code : undefined
    return { name, message, code, fix, ...(cause === undefined ? {} : { cause }) }
  })
}
