import 'dotenv/config'
import { Worker } from 'bullmq'
import OpenAI from 'openai'

const openai = new OpenAI()

new Worker(
  'invoices',
  async (job) => {
    const answer = await openai.responses.create({
      model: 'gpt-6-luna',
      input: `Supplier, date and total as JSON: ${job.data.text}`,
      text: { format: { type: 'json_object' } },
    })
    return JSON.parse(answer.output_text)
  },
  { connection: { url: process.env.REDIS_URL } },
)
