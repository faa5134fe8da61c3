import OpenAI from 'openai'

const openai = new OpenAI()

export default async function handler(request, response) {
  const { menu, language } = request.body
  const completion = await openai.chat.completions.create({
    model: 'gpt-6-luna',
    messages: [
      { role: 'system', content: `Translate the menu to ${language}. Keep prices.` },
      { role: 'user', content: menu },
    ],
  })
  response.status(200).json({ menu: completion.choices[0].message.content })
}
