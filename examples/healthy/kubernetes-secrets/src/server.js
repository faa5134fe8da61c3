import { createServer } from 'node:http'
import OpenAI from 'openai'

const openai = new OpenAI()

createServer(async (request, response) => {
  if (request.url === '/healthz') return response.end('ok')
  const answer = await openai.responses.create({ model: process.env.OPENAI_MODEL ?? 'gpt-6-luna', input: request.url })
  response.end(answer.output_text)
}).listen(8080)
