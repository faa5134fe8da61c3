import type { CredentialName, Verdict } from './types.ts'

/** What is left where keys make each other and none works: said wherever that can be the end of it. */
export function makeByHand(name: CredentialName): string {
  return `With no admin key that works none can be made: make one by hand (platform.openai.com, Settings, Organization, Admin keys) and bring it: keyturn bring ${name} < admin.txt`
}

/** In the words of admin keys: no app needs anything of them, and no service account has them. */
export function asUnfit(verdict: Verdict): Verdict {
  const missing = (verdict.missingScopes ?? []).join(', ')
  return {
    ...verdict,
    summary: `The admin key is genuine, but may not do what it has to: ${missing}.`,
    fix: `Make one that has ${missing} (Organization Administration: Write), and bring it; look also whether the organisation restricts its admin keys.`,
  }
}
