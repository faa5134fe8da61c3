import { readFile } from 'node:fs/promises'
import OpenAI from 'openai'

const openai = new OpenAI()

async function readMeter(path: string): Promise<string | null> {
  const image = await readFile(path, 'base64')
  const completion = await openai.chat.completions.create({
    model: 'gpt-4-vision-preview',
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Digits on this meter, nothing else.' },
          { type: 'image_url', image_url: { url: `data:image/jpeg;base64,${image}` } },
        ],
      },
    ],
  })
  return completion.choices[0]?.message.content ?? null
}

console.log(await readMeter(process.argv[2] ?? 'meter.jpg'))
