/** Every bound of the proxy in one place. Counts end in `Max`, sizes in `BytesMax`, durations in `Ms`. */
export interface ProxyLimits {
  /** Requests under way at once; one more is answered with 429. */
  readonly requestsMax: number
  /** Those of one caller, so that no app can take them all. */
  readonly requestsPerCallerMax: number
  /** Open connections of callers; one more is closed as soon as it is there. */
  readonly connectionsMax: number
  /** Callers that are remembered, each with an event stream of its own; the one that was idle longest goes first. */
  readonly callersMax: number
  /** Tokens that are being shown to the service for the first time at once. */
  readonly unprovenMax: number
  /** For how long a token that was refused is refused again without asking. */
  readonly refusedHeldMs: number
  /** Of a request. */
  readonly bodyBytesMax: number
  /** A body up to this size is kept until its answer has begun, so that it can be sent again with another key. */
  readonly bufferBytesMax: number
  /** A body up to this size is kept however many others are. */
  readonly smallBytesMax: number
  /** All longer kept bodies together; what comes beyond goes through unkept. */
  readonly buffersBytesMax: number
  /** Of an answer that refuses: such a body is read whole before it is passed on. */
  readonly refusalBytesMax: number
  /** What is still read of a body that nobody wants, so that its sender gets to read the answer. */
  readonly drainBytesMax: number
  /** And for how long: nobody who was refused holds a connection longer by sending slowly. */
  readonly drainTimeoutMs: number
  readonly headerBytesMax: number
  readonly headersMax: number
  readonly urlCharsMax: number
  /** All headers of a request must have arrived by then. */
  readonly headersTimeoutMs: number
  /** A whole request must have arrived by then. */
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs: number
  /** How long the upstream may think before its answer begins, and between two pieces of it. */
  readonly upstreamTimeoutMs: number
  /** How long idle connections are kept, of callers and to the upstream. */
  readonly keepAliveMs: number
  /** How long requests under way may take after a stop was asked for. */
  readonly drainMs: number
}

export const defaultLimits: ProxyLimits = {
  requestsMax: 1_024,
  requestsPerCallerMax: 512,
  connectionsMax: 4_096,
  callersMax: 256,
  unprovenMax: 32,
  refusedHeldMs: 1_000,
  bodyBytesMax: 512 * 1_048_576,
  bufferBytesMax: 1_048_576,
  smallBytesMax: 32_768,
  buffersBytesMax: 64 * 1_048_576,
  refusalBytesMax: 65_536,
  drainBytesMax: 1_048_576,
  drainTimeoutMs: 5_000,
  headerBytesMax: 32_768,
  headersMax: 100,
  urlCharsMax: 8_192,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 3_600_000,
  connectTimeoutMs: 10_000,
  // The SDKs of OpenAI give up after ten minutes by themselves.
  upstreamTimeoutMs: 900_000,
  keepAliveMs: 60_000,
  drainMs: 25_000,
}
