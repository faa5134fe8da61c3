import { answerTo } from '../openai.mjs'

/** Behind a function URL or an HTTP API: payload format 2.0. */
export async function handler(event) {
  const text = event.isBase64Encoded ? Buffer.from(event.body, 'base64').toString() : (event.body ?? '{}')
  const { question } = JSON.parse(text)
  return {
    statusCode: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ answer: await answerTo(question) }),
  }
}
