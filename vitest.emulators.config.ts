import { defineConfig } from 'vitest/config'

/** Suites against what others wrote; test/emulators/run.ts starts that and says where it is. */
export default defineConfig({
  test: {
    include: ['test/emulators/suites/*.suite.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
})
