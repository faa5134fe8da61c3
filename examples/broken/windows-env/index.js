import Fastify from 'fastify'
import OpenAI from 'openai'

const app = Fastify()
const openai = new OpenAI()

app.post('/caption', async (request) => {
  const answer = await openai.responses.create({ model: 'gpt-6-luna', input: `Caption for: ${request.body.scene}` })
  return { caption: answer.output_text }
})

await app.listen({ host: '0.0.0.0', port: Number(process.env.PORT) })
