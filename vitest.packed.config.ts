import { defineConfig } from 'vitest/config'

/** What users get from the registry, installed in an empty folder. Needs npm and its registry. */
export default defineConfig({
  test: {
    include: ['test/packed/*.packed.ts'],
    // Packages come from a registry, and a busy machine has other work too.
    testTimeout: 180_000,
    hookTimeout: 600_000,
  },
})
