import OpenAI from 'openai'

const openai = new OpenAI()
const answer = await openai.responses.create({ model: 'gpt-6-luna', input: 'A rare word and what it means.' })
console.log(answer.output_text)
