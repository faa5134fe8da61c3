import { openAIOptions } from 'keyturn'
import OpenAI from 'openai'

let client

/** Made with the first call of an instance and kept for the others; a first call that fails is no reason for the next to. */
export function openAI() {
  client ??= openAIOptions()
    .then((options) => new OpenAI(options))
    .catch((error) => {
      client = undefined
      throw error
    })
  return client
}

export async function answerTo(question) {
  const openai = await openAI()
  const completion = await openai.chat.completions.create({
    model: process.env.OPENAI_MODEL ?? 'gpt-6-luna',
    messages: [{ role: 'user', content: question }],
  })
  return completion.choices[0].message.content
}
