import express from 'express'
import OpenAI from 'openai'

const openai = new OpenAI()
const app = express()

app.get('/question/:topic', async (request, response) => {
  try {
    const answer = await openai.responses.create({ model: 'gpt-6-luna', input: `A quiz question on ${request.params.topic}` })
    response.json({ question: answer.output_text })
  } catch (error) {
    response.status(502).json({ error: error instanceof OpenAI.APIError ? error.code : 'unknown' })
  }
})

app.listen(3000)
