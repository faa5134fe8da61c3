import express from 'express'
import OpenAI from 'openai'

const openai = new OpenAI()
const app = express()

app.get('/exhibits/:id', async (request, response) => {
  const completion = await openai.chat.completions.create({
    model: 'gpt-6-luna',
    messages: [{ role: 'user', content: `Two sentences for children on exhibit ${request.params.id}` }],
  })
  response.send(completion.choices[0].message.content)
})

app.listen(process.env.PORT ?? 8080)
