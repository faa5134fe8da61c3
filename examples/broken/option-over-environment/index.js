import bolt from '@slack/bolt'
import OpenAI from 'openai'

const openai = new OpenAI({ apiKey: '' })
const app = new bolt.App({ token: process.env.SLACK_BOT_TOKEN, signingSecret: process.env.SLACK_SIGNING_SECRET })

app.command('/standup', async ({ command, ack, respond }) => {
  await ack()
  const answer = await openai.responses.create({ model: 'gpt-6-luna', input: `As bullet points: ${command.text}` })
  await respond(answer.output_text)
})

await app.start(3000)
