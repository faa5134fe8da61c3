import type { Facts, KeyPlace } from '../facts.ts'
import type { Finding } from '../finding.ts'
import { apiOf } from './used-keys.ts'
import { isSetIn } from './wording.ts'

interface Provider {
  /** Where its API is: whoever names that in the source, or has a client of its own, calls it on purpose. */
  readonly hosts: RegExp
  /** The variable that its own libraries read. */
  readonly variable?: string
}

const providers: Readonly<Record<string, Provider>> = {
  Anthropic: { hosts: /api\.anthropic\.com/i, variable: 'ANTHROPIC_API_KEY' },
  OpenRouter: { hosts: /openrouter\.ai/i, variable: 'OPENROUTER_API_KEY' },
  Google: {
    hosts: /generativelanguage\.googleapis\.com|aiplatform\.googleapis/i,
    variable: 'GEMINI_API_KEY',
  },
  Groq: { hosts: /api\.groq\.com/i, variable: 'GROQ_API_KEY' },
  'Hugging Face': { hosts: /huggingface\.co/i, variable: 'HF_TOKEN' },
  xAI: { hosts: /api\.x\.ai/i, variable: 'XAI_API_KEY' },
  Perplexity: { hosts: /api\.perplexity\.ai/i, variable: 'PERPLEXITY_API_KEY' },
  Replicate: { hosts: /replicate\.com/i, variable: 'REPLICATE_API_TOKEN' },
  Fireworks: { hosts: /fireworks\.ai/i, variable: 'FIREWORKS_API_KEY' },
  GitHub: { hosts: /models\.(?:inference\.ai\.azure|github)/i, variable: 'GITHUB_TOKEN' },
  'Azure OpenAI': {
    hosts: /AzureOpenAI|azure_endpoint|openai\.azure\.com|api_type/i,
    variable: 'AZURE_OPENAI_API_KEY',
  },
  LiteLLM: { hosts: /./ },
}

/** T06, for a key that is not OpenAI's: silent where it goes to the one whose it is, as far as can be seen. */
export function ofProviders(key: KeyPlace, provider: string, facts: Facts): Finding | undefined {
  const known = providers[provider]
  const isElsewhere = apiOf(facts) === 'other' && !isOfAnother(facts.baseUrl?.value ?? '', provider)
  if (isElsewhere || (known?.hosts.source === '.' && apiOf(facts) === 'local')) return undefined
  const isMeant = (facts.scan?.sources ?? []).some(
    ({ text }) => known?.hosts.source !== '.' && known?.hosts.test(text),
  )
  if (isMeant) return undefined
  const elsewhere =
    known?.variable === undefined ? '' : ` The one that is there belongs in ${known.variable}.`
  return {
    code: 'key_of_other_provider',
    severity: 'error',
    seen: `${isSetIn(key.place)} has the shape of a key of ${provider} (${key.text.length} characters).`,
    cause: `It is a key of ${provider}, which OpenAI does not know.`,
    fix: `Put a key from https://platform.openai.com/api-keys there.${elsewhere}`,
    place: key.place,
  }
}

/** A gateway may take anybody's keys; another provider takes its own. */
function isOfAnother(baseUrl: string, provider: string): boolean {
  return Object.entries(providers).some(
    ([name, { hosts }]) => name !== provider && hosts.source !== '.' && hosts.test(baseUrl),
  )
}
