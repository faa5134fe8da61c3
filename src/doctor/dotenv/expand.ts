const variable = /\\\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^}]*))?\}|\$([A-Za-z_][A-Za-z0-9_]*)/g

/** `${NAME}`, `${NAME:-default}` and `$NAME`, once: what was put in is not looked at again. Unknown names become nothing. */
export function expand(value: string, lookUp: (name: string) => string | undefined): string {
  return value.replace(variable, (all, braced?: string, fallback?: string, bare?: string) => {
    if (all === '\\$') return '$'
    return lookUp(braced ?? bare ?? '') || (fallback ?? '')
  })
}
