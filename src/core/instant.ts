const pattern = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?)?$/

/**
 * Epoch milliseconds of an instant that a person wrote: a date, or a date and a time, of ISO 8601. UTC where it names no zone:
 * `Date.parse` takes the zone of whatever machine it runs on, and a day that there is not for the one after. Undefined:
 * it is none.
 */
export function parseInstant(text: string): number | undefined {
  const [, date, time = '00:00', zone = 'Z'] = pattern.exec(text) ?? []
  if (date === undefined) return undefined
  const day = Date.parse(`${date}T00:00Z`)
  if (Number.isNaN(day) || !new Date(day).toISOString().startsWith(date)) return undefined
  const at = Date.parse(`${date}T${time}${zone}`)
  return Number.isNaN(at) ? undefined : at
}
