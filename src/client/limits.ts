/** Every bound of the client, by name. Times are milliseconds unless the name says otherwise. */
export const limits = {
  /** How long a first key may take, retries included. */
  timeoutMs: 10_000,
  /** After this long somebody who waits for a first key at a terminal is told what for. */
  waitToldMs: 1_000,
  /** For how long a key is served without hearing from Keyturn: 100 days, since the issuer refuses a dead key anyway. */
  staleAfterMs: 100 * 86_400_000,
  /** After this long without word, a call asks first: the process slept, or its timers were frozen. */
  freshWithinMs: 300_000,
  /** How long such a call waits for the answer before it takes the key it has. */
  wakeWaitMs: 1_000,
  /** The same where keys are resolved in this process, which has to ask a store and the issuer, maybe twice. */
  wakeEmbeddedMs: 5_000,
  /** How soon after the first key the service is followed. */
  followAfterMs: 100,
  /** A failure is answered again without asking for this long, so that a busy app does not hammer a service in trouble. */
  failureHeldMs: 1_000,
  /** One background call, from the first byte out to the last byte in. */
  backgroundTimeoutMs: 10_000,
  /** How often an open stream is seconded by a question: it renews the lease and catches an event that was lost. */
  renewMs: 60_000,
  /** How often is asked while there is no stream and the service does not hold questions. */
  pollMs: 5_000,
  /** How long the service is asked to hold a question. */
  holdSeconds: 25,
  /** A held question that came back sooner than this was not held. */
  holdMsMin: 1_000,
  /** A stream silent for this long is taken for dead. */
  streamSilenceMs: 60_000,
  /** A service that has no event stream is asked for one again after this long. */
  streamAgainMs: 300_000,
  backoffBaseMs: 250,
  backoffMaxMs: 30_000,
  /** The longest Retry-After that is believed. */
  retryAfterMsMax: 300_000,
  /** How soon Keyturn is told that the last request of an old generation has ended; several endings make one call. */
  tellMs: 50,
  /** How long a refused request waits for another key. */
  replaceMs: 5_000,
  /** After a refusal that brought no other key, the next ones are passed on without waiting, for this long. */
  replaceAgainMs: 5_000,
  /** How often one refused request asks for another key at most. */
  replaceLooksMax: 20,
  /** The gap between two such questions when the service does not hold them. */
  replaceGapMs: 250,
  reportTimeoutMs: 2_000,
  /** How long Keyturn may take to hear that nothing is used any more. */
  endMs: 1_000,
  /** How much of a 401 is read, and for how long, to see whether it is about the key. */
  refusalBytesMax: 65_536,
  refusalWaitMs: 1_000,
  /** How many handed-out keys are remembered, to know them again in a request. */
  historyMax: 8,
  /** Answers of a lower generation that must follow each other, and for how long, before they are believed. */
  lowerAnswersMin: 3,
  lowerSpanMs: 60_000,
  /** How soon a lower answer is asked for again. */
  lowerAgainMs: 25_000,
  bodyBytesMax: 65_536,
  eventBytesMax: 65_536,
  /** Credentials that one process asks for by name; each has a client with a stream of its own. */
  clientsMax: 1_000,
  keyLengthMax: 4_096,
  /** Of organisations and projects. */
  idLengthMax: 256,
  tokenLengthMax: 8_192,
  detailLengthMax: 400,
} as const
