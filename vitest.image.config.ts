import { defineConfig } from 'vitest/config'

/** The image, built and run without a daemon, and what compose.yaml makes of it. Needs Linux, root, buildah and runc. */
export default defineConfig({
  test: {
    include: ['test/image/*.image.ts'],
    globalSetup: ['test/postgres/global-setup.ts'],
    testTimeout: 180_000,
    hookTimeout: 600_000,
  },
})
