import type { SecretStore, Telemetry, TracedOutcome } from '../core/ports.ts'

/** A store each of whose calls is counted, timed and traced. It may be of any make, so its methods are named one by one. */
export function observedStore(store: SecretStore, telemetry: Telemetry): SecretStore {
  const { kind } = store.capabilities
  const run = <Result>(
    name: string,
    work: () => Promise<Result>,
    told: (result: Result) => TracedOutcome = () => ({ outcome: 'done' }),
  ): Promise<Result> => telemetry.run({ part: 'store', kind, name }, work, told)
  return {
    get capabilities() {
      return store.capabilities
    },
    read: (...asked) => run('read', () => store.read(...asked), presence),
    describe: (ref) => run('describe', () => store.describe(ref), presence),
    stage: (...asked) => run('stage', () => store.stage(...asked)),
    promote: (...asked) =>
      run(
        'promote',
        () => store.promote(...asked),
        (result) => ({ outcome: result.kind }),
      ),
    retire: (...asked) => run('retire', () => store.retire(...asked)),
    destroy: (...asked) =>
      run(
        'destroy',
        () => store.destroy(...asked),
        (outcome) => ({ outcome }),
      ),
    annotate: (...asked) => run('annotate', () => store.annotate(...asked)),
    check: (ref) => run('check', () => store.check(ref)),
    ...(store.watch === undefined ? {} : { watch: store.watch.bind(store) }),
    close: () => store.close(),
  }
}

function presence(found: object | undefined): TracedOutcome {
  return { outcome: found === undefined ? 'absent' : 'found' }
}
