import { KeyturnError } from '../../core/errors.ts'
import { createSystem } from '../../system.ts'
import { programSignals, rotationActs } from '../choices.ts'
import { argument, type Context } from '../command.ts'
import { programEnvironment } from '../exec/environment.ts'
import {
  hasTerminal,
  isAloneInGroup,
  onSignals,
  signalNumber,
  startProgram,
  stopSelf,
  terminalSignals,
} from '../exec/program.ts'
import { type Ending, supervise, type Telling } from '../exec/supervise.ts'
import type { Policy, Said } from '../exec/supervision.ts'
import { type ExitCode, programExit } from '../exit.ts'
import { durationOption, variableName, wordOption } from '../option-values.ts'
import { asKeyturnError, openSupply } from '../supply.ts'
import { short } from '../text.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { io, out, args, options } = context
  const policy = policyOf(context)
  const given = options.list('variable').map((name) => variableName('--variable', name))
  const variables = given.length === 0 ? ['OPENAI_API_KEY'] : given
  const keeps = options.list('keep').map((name) => variableName('--keep', name))
  const system = createSystem()
  let isOver = false
  const supply = await openSupply(context, {
    kind: 'exec',
    // Processes of two containers may have one host and one number.
    mark: `${process.pid}-${system.uuid().slice(0, 8)}`,
    onTrouble: (error) => {
      if (!isOver) out.warn(`keyturn exec: ${error.message}; the program goes on with the key it has`)
    },
    onWaiting: (told) => out.note(`keyturn exec: ${told}`),
  })
  try {
    const first = await supply.client.getOpenAICredential().catch((error: unknown) => {
      throw asKeyturnError(error)
    })
    const isOwnGroup = !hasTerminal()
    const ending = await supervise({
      open: supply,
      first,
      policy,
      start: (credential, events) =>
        startProgram(
          {
            command: argument(context, 0),
            args: args.slice(1),
            env: programEnvironment(io.env, credential, { variables, keeps }),
            isOwnGroup,
            after: io.after,
          },
          events,
        ),
      onSignal: (callback) => onSignals(callback, { isOwnGroup }),
      numberOf: signalNumber,
      isShared: (signal) => !isOwnGroup && terminalSignals.includes(signal),
      stopSelf,
      isNobodyLeft: () => isOwnGroup || isAloneInGroup(),
      leave() {
        isOver = true
        return supply.isOwnName ? supply.client.end() : supply.tell()
      },
      now: io.now,
      fraction: () => system.fraction(),
      after: io.after,
      say: (what, about) => out.note(`keyturn exec: ${sentences[what](about, policy)}`),
    })
    if (ending.errno !== undefined) out.error(refusalOf(argument(context, 0), ending))
    return programExit(ending.code)
  } finally {
    supply.client.close()
  }
}

function policyOf({ options }: Context): Policy {
  return {
    onRotation: wordOption(options, '--on-rotation', { words: rotationActs, without: 'restart' }),
    rotationSignal: wordOption(options, '--signal', { words: programSignals, without: 'SIGHUP' }),
    stopSignal: wordOption(options, '--stop-signal', { words: programSignals, without: 'SIGTERM' }),
    graceMs: durationOption(options, '--grace', { without: 10_000, most: '24h' }),
    spreadMs: durationOption(options, '--spread', { without: 0, most: '24h' }),
  }
}

const sentences: Readonly<Record<Said, (about: Telling, policy: Policy) => string>> = {
  'restart-planned': (about) => `there is ${keyOf(about)}; the program is restarted in a while`,
  restarting: (about, { stopSignal }) => `there is ${keyOf(about)}; ${stopSignal} to ${processOf(about)}`,
  restarted: (about) => `${processOf(about)} runs with ${keyOf(about)}`,
  signalled: (about, { rotationSignal }) =>
    `there is ${keyOf(about)}; ${rotationSignal} to ${processOf(about)}`,
  kept: (about) => `there is ${keyOf(about)}; the program goes on with the old one, which lives on for it`,
  killed: (about, { graceMs }) => `${processOf(about)} did not end within ${graceMs / 1_000} s: SIGKILL`,
  retrying: () => 'the program could not be started again; it is tried once more',
}

function keyOf({ credential }: Telling): string {
  return `another key (${credential.fingerprint}, version ${short(credential.version)})`
}

function processOf({ pid }: Telling): string {
  return pid === undefined ? 'the program' : `process ${pid}`
}

/** As shells say it: 127 where there is none, 126 where it cannot be run. */
function refusalOf(command: string, { code, errno }: Ending): KeyturnError {
  if (code === 127)
    return new KeyturnError('file_unusable', `there is no program ${command} (${errno})`, {
      fix: 'Check its name, PATH, and that the working directory is there.',
    })
  return new KeyturnError('file_unusable', `${command} cannot be run (${errno})`, {
    fix: 'It must be a program, or a script with a first line such as #!/bin/sh, that this user may run (chmod +x).',
  })
}
