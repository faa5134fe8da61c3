import 'dotenv/config'
import express from 'express'
import { shorten } from './shorten.js'
import { taskId } from './tasks.js'

if (!process.env.OPENAI_API_KEY) throw new Error('OPENAI_API_KEY is not set; see docs/setup.md')

const app = express()
app.use(express.json())
app.post('/notes', async (request, response) => {
  response.json({ id: taskId(request.body.title), text: await shorten(request.body.text) })
})
app.listen(Number(process.env.PORT ?? 3000))
