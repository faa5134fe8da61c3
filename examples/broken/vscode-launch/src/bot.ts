import { Client, Events, GatewayIntentBits } from 'discord.js'
import OpenAI from 'openai'

const openai: OpenAI = new OpenAI()
const bot = new Client({ intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages] })

async function tell(roll: number): Promise<string> {
  const answer = await openai.responses.create({
    model: 'gpt-6-luna',
    input: `A fortune teller comments on a roll of ${roll} in one sentence.`,
  })
  return answer.output_text
}

bot.on(Events.MessageCreate, async (message) => {
  if (message.content !== '!roll') return
  await message.reply(await tell(1 + Math.floor(Math.random() * 20)))
})

await bot.login(process.env.DISCORD_TOKEN)
