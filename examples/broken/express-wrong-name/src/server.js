import express from 'express'
import OpenAI from 'openai'

const openai = new OpenAI()
const app = express()
app.use(express.json({ limit: '200kb' }))

app.post('/summaries', async (request, response) => {
  const answer = await openai.responses.create({
    model: 'gpt-6-luna',
    instructions: 'Summarize the text in three sentences.',
    input: String(request.body.text ?? ''),
  })
  response.json({ summary: answer.output_text })
})

app.listen(Number(process.env.PORT ?? 3000))
