import OpenAI from 'openai'

export async function POST(request) {
  const openai = new OpenAI()
  const { city } = await request.json()
  const answer = await openai.responses.create({ model: 'gpt-6-luna', input: `Three days in ${city}` })
  return Response.json({ plan: answer.output_text })
}
