import 'dotenv/config'
import express from 'express'
import { describe } from './describe.js'

const app = express()

app.get('/products/:name/text', async (request, response) => {
  response.json({ text: await describe(request.params.name) })
})

app.listen(4001)
