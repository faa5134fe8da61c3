import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import OpenAI from 'openai'

const openai = new OpenAI()
const app = new Hono()

app.get('/ask', async (context) => {
  const answer = await openai.responses.create({ model: 'gpt-6-luna', input: context.req.query('q') ?? '' })
  return context.text(answer.output_text)
})

serve({ fetch: app.fetch, port: 3000 })
