import { defineConfig } from 'vitest/config'

/** The suite of the stores against real ones, on demand; test/live/run.ts says what it needs. */
export default defineConfig({
  test: {
    include: ['test/live/*.live.ts'],
    // A race of 25 rounds is some hundred calls, and a cloud may throttle them.
    testTimeout: 600_000,
    hookTimeout: 300_000,
  },
})
