/** The engine's own judge of cron expressions, loaded only where a configuration is read. */
export async function cronCheck(): Promise<(expression: string, timeZone: string) => void> {
  const { assertValidCron } = await import('../engine/cron.ts')
  return assertValidCron
}
