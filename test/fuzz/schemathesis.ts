// npm run fuzz:schemathesis: another fuzzer, which knows the OpenAPI document alone, against the service as users start it.
// Where Python or its registry is out of reach this is said and is no failure: the fuzz of `npm test` and of the walks
// needs neither.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, serve, stopAll } from '../emulators/processes.ts'
import { freePort } from '../free-port.ts'
import { Canaries } from '../system/canaries.ts'

const version = '4.32.5'
const installMs = 300_000
const fuzzMs = 1_800_000
const startMs = 120_000
const examples = 40
const bin = join(import.meta.dirname, '..', '..', 'bin', 'keyturn.js')

/** What is asked of each answer. That it is refused without a token is among them. */
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'unsupported_method',
  'ignored_auth',
]

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-schemathesis-'))
  try {
    const python = join(folder, 'venv', 'bin', 'python')
    for (const step of [
      ['python3', '-m', 'venv', join(folder, 'venv')],
      [python, '-m', 'pip', 'install', '--quiet', `schemathesis==${version}`],
    ]) {
      const { isGood, said } = await run(step, { cwd: folder, timeoutMs: installMs })
      if (isGood) continue
      process.stdout.write(`schemathesis: not run, since it cannot be installed here\n${said}\n`)
      return 0
    }
    return await fuzzService(folder)
  } finally {
    stopAll()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function fuzzService(folder: string): Promise<number> {
  const home = join(folder, 'home')
  const url = `http://127.0.0.1:${await freePort()}`
  const logFile = join(folder, 'service.log')
  const service = await serve([process.execPath, bin, 'serve', '--sandbox'], {
    cwd: folder,
    env: { KEYTURN_HOME: home, KEYTURN_LISTEN: url.slice('http://'.length), KEYTURN_LOG_LEVEL: 'debug' },
    logFile,
    isReady: async () => (await fetch(`${url}/readyz`)).status === 200,
    timeoutMs: startMs,
  })
  const token = readFileSync(join(home, 'operator.token'), 'utf8').trim()
  const seed = process.env['KEYTURN_FUZZ_SEED'] ?? String(process.pid)
  const tool = join(folder, 'venv', 'bin', 'schemathesis')
  const options: Readonly<Record<string, string>> = {
    '--header': `Authorization: Bearer ${token}`,
    '--checks': checks.join(','),
    '--phases': 'examples,coverage,fuzzing',
    '--max-examples': `${examples}`,
    '--seed': seed,
    '--request-timeout': '70',
    // The stream has no end; the others would end the token that all of this is asked with.
    '--exclude-operation-id-regex': '^(?:streamEvents|revokeToken|rotateToken)$',
  }
  const args = ['run', `${url}/openapi.json`, '--no-color', ...Object.entries(options).flat()]
  const { isGood, output } = await run([tool, ...args], { cwd: folder, timeoutMs: fuzzMs })
  const apiKey = await handedOut(url, token)
  await service.stop()
  const summary = output.slice(Math.max(0, output.indexOf('= SUMMARY =') - 40))
  process.stdout.write(`schemathesis ${version}, seed ${seed}\n${isGood ? summary : output}\n`)
  const leaks = leaksIn(folder, home, [token, ...(apiKey === undefined ? [] : [apiKey])], output)
  for (const leak of leaks) process.stdout.write(`a piece of a secret is in ${leak}\n`)
  return isGood && leaks.length === 0 ? 0 : 1
}

async function handedOut(url: string, token: string): Promise<string | undefined> {
  const answer = await fetch(`${url}/v1/credentials/openai`, {
    headers: { authorization: `Bearer ${token}` },
  })
  return answer.ok ? ((await answer.json()) as { readonly apiKey: string }).apiKey : undefined
}

/** The service's log, what the fuzzer printed, and the files of the home that are not there to hold a secret. */
function leaksIn(
  folder: string,
  home: string,
  secrets: readonly string[],
  output: string,
): readonly string[] {
  const canaries = new Canaries()
  // Their beginnings are no secret, and shown.
  for (const secret of secrets) canaries.add(secret, secret.slice(0, 12))
  const texts = new Map([
    ['the log', readFileSync(join(folder, 'service.log'), 'utf8')],
    ['the output', output],
  ])
  for (const name of readdirSync(home, { recursive: true, encoding: 'utf8' })) {
    const path = join(home, name)
    if (statSync(path).isFile() && !/^(?:.*\.token|signing-key\.pem|sandbox\.json)$/.test(name))
      texts.set(name, readFileSync(path, 'latin1'))
  }
  return canaries.search(texts).map(({ where }) => where)
}

process.exitCode = await main()
