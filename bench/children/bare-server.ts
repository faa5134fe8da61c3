// The least that node:http can do: the same bytes for every request.
import { createServer } from 'node:http'

const text = process.env['BENCH_ANSWER'] ?? '{"headers":[],"body":""}'
const answer = JSON.parse(text) as { readonly headers: string[]; readonly body: string }
const server = createServer({ noDelay: true, keepAliveTimeout: 65_000 }, (_request, response) => {
  response.writeHead(200, answer.headers)
  // A string goes out in one piece with the headers; bytes would be slower.
  response.end(answer.body)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  process.send?.({ port })
})
