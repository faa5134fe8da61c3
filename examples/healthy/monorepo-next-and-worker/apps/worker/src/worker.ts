import { type Job, Worker } from 'bullmq'
import OpenAI from 'openai'

const openai: OpenAI = new OpenAI({ baseURL: 'https://eu.api.openai.com/v1' })

async function translate(job: Job<{ text: string }>): Promise<string> {
  const answer = await openai.responses.create({ model: 'gpt-6-luna', input: `In English: ${job.data.text}` })
  return answer.output_text
}

new Worker('translations', translate, { connection: { url: process.env.REDIS_URL ?? '' } })
