import { join } from 'node:path'
import { repository } from './manifests.ts'

/** What the chart brings of `monitoring`: Helm reads no file outside of a chart. `npm run docs` writes them. */
export const chartCopies: readonly { readonly from: string; readonly to: string }[] = [
  ['prometheus/keyturn.rules.yml', 'keyturn.rules.yml'],
  ['grafana/keyturn.json', 'keyturn-dashboard.json'],
].map(([from = '', to = '']) => ({
  from: join(repository, 'monitoring', from),
  to: join(repository, 'deploy/helm/keyturn/monitoring', to),
}))
