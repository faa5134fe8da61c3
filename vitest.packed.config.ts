import { defineConfig } from 'vitest/config'

/** What users get from the registry, installed in an empty folder. Needs npm and its registry. */
export default defineConfig({
  test: {
    include: ['test/packed/*.packed.ts'],
    testTimeout: 60_000,
    hookTimeout: 240_000,
  },
})
