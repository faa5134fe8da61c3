import type { OpenAICredential } from '../../src/client/types.ts'

/** What a command is given for its program. */
export function credentialOf(change: Partial<OpenAICredential> = {}): OpenAICredential {
  return {
    name: 'openai',
    apiKey: 'the-key',
    organization: 'org-1',
    project: null,
    baseUrl: 'https://api.openai.com/v1',
    version: 'v1',
    fingerprint: 'f1',
    stage: 'current',
    verdict: 'valid',
    verifiedAt: '2026-11-26T00:00:00Z',
    rotatesAt: null,
    generation: 1,
    ...change,
  }
}
