import OpenAI from 'openai'

const openai = new OpenAI()
const answer = await openai.responses.create({ model: process.env.OPENAI_MODEL, input: 'Say that the worker is ready.' })
console.log(answer.output_text)
