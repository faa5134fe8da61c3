import { answerTo } from '../openai.mjs'

/** An HTTP function: gcloud functions deploy ask --gen2 --entry-point ask --trigger-http */
export async function ask(request, response) {
  response.json({ answer: await answerTo(request.body.question) })
}
