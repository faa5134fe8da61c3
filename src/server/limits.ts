/** Every bound of the server in one place. Counts end in `Max`, sizes in `BytesMax`, durations in `Ms`. */
export interface ServerLimits {
  /** Open sockets; above it the kernel's queue holds them back and the rest is dropped. */
  readonly connectionsMax: number
  readonly streamsMax: number
  /** Event streams of one token, so that no app can take them all. */
  readonly streamsPerTokenMax: number
  /** Long-polls waiting at once. */
  readonly waitersMax: number
  /** Those of one token, so that no app can take them all. */
  readonly waitersPerTokenMax: number
  readonly urlCharsMax: number
  readonly headerBytesMax: number
  /** More than any client sends. The parser would leave out what is beyond its own limit without a word. */
  readonly headersMax: number
  readonly bodyBytesMax: number
  /** What may wait in memory for a slow reader of an event stream before it is cut off; it can replay. */
  readonly streamBufferBytesMax: number
  /** Events that may arrive while a stream is still replaying older ones. */
  readonly streamBacklogMax: number
  readonly heartbeatMs: number
  /** All headers must have arrived by then, else 408: no slow loris holds a socket. */
  readonly headersTimeoutMs: number
  /** The whole request must have arrived by then, else 408. */
  readonly requestTimeoutMs: number
  /** A connection on which nothing moved for so long is closed: its reader is gone, or takes nothing of its answer. */
  readonly silenceMs: number
  /** How long an idle connection is kept. Longer than the 60 s of most balancers, so that they close first. */
  readonly keepAliveTimeoutMs: number
  /** After this long in `stop` what is still open is destroyed. */
  readonly stopMs: number
}

export const defaultLimits: ServerLimits = {
  connectionsMax: 16_000,
  streamsMax: 12_000,
  streamsPerTokenMax: 10_000,
  waitersMax: 5_000,
  waitersPerTokenMax: 4_000,
  urlCharsMax: 2_048,
  headerBytesMax: 16_384,
  headersMax: 100,
  bodyBytesMax: 65_536,
  streamBufferBytesMax: 65_536,
  streamBacklogMax: 1_000,
  heartbeatMs: 15_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  silenceMs: 120_000,
  keepAliveTimeoutMs: 65_000,
  stopMs: 10_000,
}
