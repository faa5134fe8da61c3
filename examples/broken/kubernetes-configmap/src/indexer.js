import OpenAI from 'openai'

const openai = new OpenAI()
const { data } = await openai.embeddings.create({ model: 'text-embedding-3-small', input: process.argv.slice(2) })
console.log(data.length)
