import 'dotenv/config'
import OpenAI from 'openai'

const openai = new OpenAI()
const answer = await openai.responses.create({
  model: 'gpt-6-luna',
  input: `A haiku for ${new Date().toDateString()}`,
})
console.log(answer.output_text)
