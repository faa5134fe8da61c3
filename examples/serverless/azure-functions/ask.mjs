import { answerTo } from '../openai.mjs'

/** Of the programming model v4: app.http('ask', { methods: ['POST'], handler: ask }), as index.mjs has it. */
export async function ask(request, _context) {
  const { question } = await request.json()
  return { status: 200, jsonBody: { answer: await answerTo(question) } }
}
