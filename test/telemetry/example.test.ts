import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'

const repository = join(import.meta.dirname, '..', '..')
const example = join(repository, 'monitoring', 'opentelemetry', 'otel.mjs')

/** In the place of the SDK, which is no dependency: it registers as that does, and says what it was given. */
const stubs: Readonly<Record<string, string>> = {
  '@opentelemetry/sdk-node': `export class NodeSDK {
    constructor(options) { this.options = options }
    start() {
      const getTracer = (name, version) => ({ name, version, exporter: this.options.traceExporter.kind })
      globalThis[Symbol.for('opentelemetry.js.api.1')] = { version: '1.3.0', trace: { getTracer: (...of) => (console.log(JSON.stringify(getTracer(...of))), {}) } }
    }
    async shutdown() { console.log('shut down') }
  }`,
  '@opentelemetry/exporter-trace-otlp-proto': `export class OTLPTraceExporter { kind = 'otlp' }`,
}

it('the example registers an SDK in time, and Keyturn finds it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-otel-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, code] of Object.entries(stubs)) {
    const at = join(folder, 'node_modules', name)
    mkdirSync(at, { recursive: true })
    writeFileSync(join(at, 'package.json'), JSON.stringify({ name, type: 'module', exports: './index.js' }))
    writeFileSync(join(at, 'index.js'), code)
  }
  cpSync(example, join(folder, 'otel.mjs'))
  const telemetry = pathToFileURL(join(repository, 'src', 'main', 'telemetry.ts')).href
  writeFileSync(
    join(folder, 'keyturn.mjs'),
    `import { openTracer } from ${JSON.stringify(telemetry)}
     console.log((await openTracer('1.2.3')) === undefined ? 'untraced' : 'traced')`,
  )
  const run = (...flags: string[]): string =>
    execFileSync(process.execPath, [...flags, 'keyturn.mjs'], { cwd: folder, encoding: 'utf8' })
  expect(run()).toBe('untraced\n')
  expect(run('--import', './otel.mjs').split('\n')).toEqual([
    '{"name":"keyturn","version":"1.2.3","exporter":"otlp"}',
    'traced',
    'shut down',
    '',
  ])
})
