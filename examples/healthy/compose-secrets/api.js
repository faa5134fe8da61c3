import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import OpenAI from 'openai'

// printf and echo both are fine: what surrounds the key is taken off here.
const apiKey = readFileSync(process.env.OPENAI_API_KEY_FILE, 'utf8').trim()
const openai = new OpenAI({ apiKey })
const app = Fastify()

app.post('/transcripts', async (request) => {
  const answer = await openai.responses.create({
    model: process.env.OPENAI_MODEL,
    input: `Minutes of this talk: ${request.body.text}`,
  })
  return { minutes: answer.output_text }
})

await app.listen({ host: '0.0.0.0', port: 8080 })
