import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './processes.ts'
import type { Row } from './report.ts'

/**
 * What would be worth a suite and could not be had when it was looked for (2026-11-21). Each run asks the registry again:
 * where it answers one day, the line says so, and somebody can write the suite.
 */
const wanted: readonly {
  readonly name: string
  readonly version: string
  readonly ask: readonly string[]
}[] = [
  goModule('github.com/openbao/openbao', 'v2.6.2'),
  goModule('github.com/calvinchengx/azure-keyvault-emulator', 'v0.3.0'),
  mavenJar('com.github.nagyesta.lowkey-vault:lowkey-vault-app', 'LATEST'),
  goModule('github.com/blackwell-systems/gcp-secret-manager-emulator', 'v1.4.0'),
  goModule('github.com/charlesgreen/gsm', 'latest'),
]

const askMs = 120_000

function goModule(name: string, version: string) {
  return { name, version, ask: ['go', 'list', '-m', '-json', `${name}@${version}`] }
}

function mavenJar(name: string, version: string) {
  // A repository beside it: the home folder of who runs this may be none, or have an answer of another day.
  const goal = [
    '-Dmaven.repo.local=m2',
    '-Dstyle.color=never',
    'dependency:get',
    '-Dtransitive=false',
    `-Dartifact=${name}:${version}`,
  ]
  return { name, version, ask: ['mvn', '--batch-mode', '--quiet', ...goal] }
}

export async function absent(): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-emulator-'))
  try {
    await writeFile(join(folder, 'go.mod'), 'module keyturn.test/absent\n')
    const rows: Row[] = []
    for (const { name, version, ask } of wanted) {
      const { isGood, said, output } = await run(ask, { cwd: folder, timeoutMs: askMs })
      const outcome = isGood
        ? 'skipped: a registry has it by now, and no suite was written for it yet'
        : `skipped: cannot be installed here: ${(output || said).split('\n').find((line) => line.trim() !== '') ?? 'no reason was given'}`
      rows.push({ name, version, outcome, isFailure: false })
    }
    return rows
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
