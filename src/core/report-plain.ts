/** The fields of the ledger's own data that are instants. */
const instants = /^(?:at|since|until)$|(?:At|Until)$/

/** The ledger's data as a reader of a report gets it: instants as ISO 8601 in UTC, durations in seconds. */
export function plainly(data: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(data).map(([name, value]) => plainField(name, value)))
}

function plainField(name: string, value: unknown): readonly [string, unknown] {
  if (typeof value === 'number') {
    if (instants.test(name)) return [name, new Date(value).toISOString()]
    if (name.endsWith('Ms')) return [name.replace(/Ms$/, 'Seconds'), value / 1_000]
  }
  return [name, plainValue(value)]
}

function plainValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainValue)
  return typeof value === 'object' && value !== null ? plainly(value) : value
}
