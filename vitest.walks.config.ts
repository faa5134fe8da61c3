import { defineConfig } from 'vitest/config'

/** Whole walks of the real service over each store and each kind of key: minutes of overlaps and proofs of death. */
export default defineConfig({
  test: {
    include: ['test/system/*.walk.ts', 'test/docs/*.walk.ts'],
    globalSetup: ['test/postgres/global-setup.ts'],
    maxWorkers: 3,
    // What is left out for want of a program is told by name and reason.
    reporters: ['verbose'],
    // A machine that is ten times slower fails no walk for that.
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
})
