// An OpenAI that costs as little as node:http can: one answer for everybody, and one that never ends.
import { createServer } from 'node:http'

const headers = {
  'content-type': 'application/json',
  'x-request-id': 'req_bench',
  'openai-organization': 'org-bench',
  'openai-version': '2020-10-01',
  'openai-processing-ms': '3',
}
const models = '{"object":"list","data":[]}'
const completion = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'word '.repeat(80) }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 10, completion_tokens: 80, total_tokens: 90 },
})

const server = createServer({ noDelay: true, keepAliveTimeout: 65_000 }, (request, response) => {
  request.resume()
  if (request.url === '/v1/responses') {
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' })
    response.write('data: {}\n\n')
    response.on('close', () => process.send?.({ closedAt: performance.timeOrigin + performance.now() }))
    return
  }
  const body = request.url === '/v1/models' ? models : completion
  request.on('end', () => {
    response.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(body) })
    response.end(body)
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 })
})
