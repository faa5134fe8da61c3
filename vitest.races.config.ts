import { defineConfig } from 'vitest/config'

/** Every race of two replicas, and every turn of a field that others write beside: `npm test` runs a fifth of them. */
export default defineConfig({
  test: {
    include: [
      'test/stores/*races*.test.ts',
      'test/stores/*-shared-document.test.ts',
      'test/stores/azure-key-vault-values.test.ts',
      'test/stores/google-alias.test.ts',
      'test/stores/kubernetes-faults.test.ts',
      'test/stores/vault-faults.test.ts',
      'test/stores/own-store.test.ts',
      'test/hooks/*-races.test.ts',
    ],
    env: { KEYTURN_RACES: 'all' },
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
  },
})
