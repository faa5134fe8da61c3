import Fastify from 'fastify'
import OpenAI from 'openai'

const app = Fastify()
const openai = new OpenAI({ timeout: 20_000 })

app.post('/subject-lines', async (request) => {
  const answer = await openai.responses.create({ model: 'gpt-6-luna', input: `Five subject lines: ${request.body.text}` })
  return { lines: answer.output_text.split('\n') }
})

await app.listen({ host: '0.0.0.0', port: 8080 })
