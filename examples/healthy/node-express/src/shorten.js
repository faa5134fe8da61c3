import OpenAI from 'openai'

const openai = new OpenAI({ apiKey: process.env.OPENAI_API_KEY, maxRetries: 3 })

// Was text-davinci-003 until 2023; the answers of gpt-6-luna are shorter.
export async function shorten(text) {
  const answer = await openai.responses.create({ model: 'gpt-6-luna', instructions: 'Shorten.', input: text })
  return answer.output_text
}

/** For logs: `sk-proj-…` and nothing after it. */
export const redact = (text) => text.replace(/sk-[\w-]{20,}/g, 'sk-…')
