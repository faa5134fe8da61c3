import { checkConfig } from '../../src/config.ts'
import { assertValidCron } from '../../src/engine/cron.ts'

/** What `keyturn config check` says against a configuration that is where the image looks for it; empty where it is valid. */
export function configProblems(text: string): readonly unknown[] {
  const check = checkConfig({
    env: {
      KEYTURN_LISTEN: '0.0.0.0:7420',
      KEYTURN_HOME: '/var/lib/keyturn/home',
      KEYTURN_CONFIG: '/etc/keyturn/keyturn.yaml',
    },
    cwd: '/var/lib/keyturn',
    readFile: (path) => (path === '/etc/keyturn/keyturn.yaml' ? text : undefined),
    assertValidCron,
  })
  return check.kind === 'invalid' ? check.problems : []
}
