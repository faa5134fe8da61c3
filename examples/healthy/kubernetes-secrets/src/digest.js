import OpenAI from 'openai'

const answer = await new OpenAI().responses.create({ model: 'gpt-6-luna', input: 'A digest of nothing.' })
console.log(answer.output_text)
