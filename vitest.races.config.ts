import { defineConfig } from 'vitest/config'

/** Every race of two replicas, of which `npm test` runs a fifth. */
export default defineConfig({
  test: {
    include: [
      'test/stores/*races*.test.ts',
      'test/stores/aws-shared-document.test.ts',
      'test/stores/own-store.test.ts',
    ],
    env: { KEYTURN_RACES: 'all' },
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 30_000,
  },
})
