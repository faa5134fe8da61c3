// In the sandbox of compose.sandbox.yaml: configure.js FROM TO
// Writes the configuration of both replicas as it is for the local OpenAI: where that is, whose keys it makes, and waits that are
// short enough to look on.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const { parseDocument } = createRequire('/opt/keyturn/bin/keyturn.js')('yaml')
const origin = 'http://127.0.0.1:7421'
const [from, to] = process.argv.slice(2)

const answer = await fetch(`${origin}/_sandbox/state`)
const { project, serviceAccount } = await answer.json()
const document = parseDocument(readFileSync(from, 'utf8'))
document.setIn(['issuers', 'main', 'baseUrl'], `${origin}/v1`)
document.setIn(['issuers', 'main', 'project'], project)
document.setIn(['issuers', 'main', 'serviceAccount'], serviceAccount)
document.setIn(['issuers', 'main', 'adminKey'], { file: '/run/sandbox/sandbox.admin-key' })
document.setIn(['credentials', 'openai', 'policy'], {
  overlap: '20s',
  quiet: '1s',
  provingSettle: '1s',
  deadSpan: '5s',
  verifyEvery: '10s',
  storePoll: '5s',
})
writeFileSync(to, String(document), { mode: 0o600 })
