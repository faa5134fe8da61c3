import { openai } from '../../../lib/openai.js'

export async function POST(request) {
  const { ingredients } = await request.json()
  const completion = await openai.createChatCompletion({
    model: 'gpt-6-luna',
    messages: [{ role: 'user', content: `Three dishes with ${ingredients}` }],
  })
  return Response.json({ ideas: completion.data.choices[0].message.content })
}
