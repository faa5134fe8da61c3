import 'dotenv/config'
import OpenAI from 'openai'
import { plan } from './plan.js'

const openai = new OpenAI()
const steps = await plan(openai, `You are ${process.env.AGENT_NAME}. Plan the day.`)
for (const step of steps) console.log(step)
