import { configDefaults, defineConfig } from 'vitest/config'

/** Files whose tests keep nothing in a module, in the environment of the process or in the PostgreSQL of the run. */
const pure = [
  'test/{core,doctor,sandbox}/**/*.test.ts',
  // Two replicas share a PostgreSQL in this one.
  'test/engine/**/!(alerting-replicas).test.ts',
]

export default defineConfig({
  test: {
    // Most of a run waits for sockets, disks and overlaps of keys, not for the processor.
    maxWorkers: 3,
    // On a machine that has other work too; what is over in seconds took 19 s there.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Of what is waited for, rather than what usually takes milliseconds: a busy machine stands still for seconds.
    expect: { poll: { timeout: 20_000 } },
    projects: [
      {
        extends: true,
        // To start a worker for each file, and load the same modules in it, costs more than most of these tests do.
        test: { name: 'pure', include: pure, isolate: false },
      },
      {
        extends: true,
        test: {
          name: 'others',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...pure],
          globalSetup: ['test/postgres/global-setup.ts'],
        },
      },
    ],
  },
})
