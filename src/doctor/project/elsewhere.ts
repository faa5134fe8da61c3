import type { ClientCall } from './project-facts.ts'

/**
 * Whether the client is meant for somebody else than OpenAI: Azure, a server of one's own, a provider that speaks OpenAI's
 * words. Its key is then no business of ours.
 */
export function goesElsewhere(client: ClientCall): boolean {
  if (/azure/i.test(client.name)) return true
  return client.options.some(({ name, value }) => {
    if (/^(?:azure|apiversion|deployment)/.test(name)) return true
    if (name === 'apikey') return value.kind === 'variable' && isOfAnother(value.name)
    if (name !== 'baseurl') return false
    return value.kind === 'literal'
      ? !/^https?:\/\/(?:[a-z]+\.)?api\.openai\.com(?:[/:]|$)/.test(value.text)
      : value.kind !== 'nothing'
  })
}

/** A variable that says by its name whose key it holds. */
function isOfAnother(name: string): boolean {
  return /AZURE|ANTHROPIC|OPENROUTER|GROQ|GEMINI|GOOGLE|MISTRAL|DEEPSEEK|TOGETHER|FIREWORKS|PERPLEXITY|XAI|OLLAMA|LITELLM|NVIDIA|CEREBRAS|DASHSCOPE|MOONSHOT|HF_|HUGGING/i.test(
    name,
  )
}
