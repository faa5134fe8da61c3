import type { CredentialSummary } from '../api/types.ts'

/** What is said where a key is held twice, by whatever part of Keyturn. */
const holder = /(?<![a-z0-9\\-])(?:credential )?[a-z0-9-]{1,63} holds the same key/g
const unnamed = 'another credential holds the same key'

/** The same words without the name of a credential that whoever reads them may not know of. */
export function withoutHolder(text: string): string {
  return text.replaceAll(holder, unnamed)
}

/** A summary for those who only read: that another credential holds a key is said, and not which. */
export function forReaders(summary: CredentialSummary): CredentialSummary {
  const { retirements, troubles, rotation } = summary
  if (retirements.length === 0 && troubles.length === 0 && rotation === null) return summary
  return {
    ...summary,
    ...(JSON.parse(withoutHolder(JSON.stringify({ retirements, troubles, rotation }))) as Pick<
      CredentialSummary,
      'retirements' | 'troubles' | 'rotation'
    >),
  }
}
