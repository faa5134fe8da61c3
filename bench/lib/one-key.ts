import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** One key in a file, verified once at the start and once a day. */
export async function oneKeyConfiguration(folder: string, port: number): Promise<string> {
  const path = join(folder, 'keyturn.yaml')
  await writeFile(join(folder, 'key'), `sk-svcacct-${'bench'.repeat(20)}`, { mode: 0o600 })
  await writeFile(
    path,
    [
      'log: { level: error }',
      'issuers:',
      `  openai: { kind: manual, baseUrl: "http://127.0.0.1:${port}/v1" }`,
      'credentials:',
      '  openai:',
      `    store: { kind: file, path: ${JSON.stringify(folder)} }`,
      '    ref: key',
      '    issuer: openai',
      '    policy: { verifyEvery: 1d, verifyCloselyFor: 0s }',
      '',
    ].join('\n'),
    { mode: 0o600 },
  )
  return path
}
