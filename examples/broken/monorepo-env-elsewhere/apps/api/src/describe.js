import OpenAI from 'openai'

const openai = new OpenAI()

export async function describe(product) {
  const completion = await openai.chat.completions.create({
    model: 'gpt-3.5-turbo-0301',
    messages: [{ role: 'user', content: `Two sentences that sell: ${product}` }],
  })
  return completion.choices[0].message.content
}
