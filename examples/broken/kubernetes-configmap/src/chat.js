import { createServer } from 'node:http'
import OpenAI from 'openai'

const openai = new OpenAI()

createServer(async (request, response) => {
  const question = new URL(request.url, 'http://localhost').searchParams.get('q') ?? ''
  const answer = await openai.responses.create({ model: process.env.OPENAI_MODEL ?? 'gpt-6-luna', input: question })
  response.end(answer.output_text)
}).listen(8080)
