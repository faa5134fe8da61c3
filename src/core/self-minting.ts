import type { CredentialName } from './types.ts'

/** What is left where keys make each other and none works: said wherever that can be the end of it. */
export function makeByHand(name: CredentialName): string {
  return `With no admin key that works none can be made: make one by hand (platform.openai.com, Settings, Organization, Admin keys) and bring it: keyturn bring ${name} < admin.txt`
}
