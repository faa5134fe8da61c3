import { join } from 'node:path'
import type { Emulator } from './emulator.ts'
import { buildGo } from './go.ts'

const version = '3.22.0'

/** No server: what renders the chart of deploy/helm, built from the Go module proxy. */
export const helm: Emulator = {
  name: 'helm',
  version,
  suite: 'chart.suite.ts',
  install: (folder) =>
    buildGo(
      'helm',
      {
        command: 'helm.sh/helm/v3/cmd/helm',
        requires: { 'helm.sh/helm/v3': `v${version}` },
        values: { 'helm.sh/helm/v3/internal/version.version': `v${version}` },
      },
      folder,
    ),
  start: (installed) =>
    Promise.resolve({
      env: { KEYTURN_SUITE_HELM: join(installed, 'helm') },
      stop: () => Promise.resolve(),
    }),
}
