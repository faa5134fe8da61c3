import Fastify from 'fastify'
import OpenAI from 'openai'

const app = Fastify({ logger: true })
const openai = new OpenAI()

app.post('/tags', async (request) => {
  const answer = await openai.responses.create({ model: 'gpt-6-luna', input: `Five tags for ${request.body.title}` })
  return { tags: answer.output_text.split(',') }
})

await app.listen({ host: '0.0.0.0', port: 4000 })
