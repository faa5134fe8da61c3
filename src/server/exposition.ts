import type { OpenMetricsContentType } from 'prom-client'
import type { MetricFamily } from '../telemetry/families.ts'
import { processFamilies } from './metric-families.ts'

export type Labels = Readonly<Record<string, string | number>>

/** One line of the answer, as prom-client reads it. */
export interface Sample {
  /** Of this line. */
  readonly labels: Labels
  /** Of this one and others: prom-client makes the same object into text once. */
  readonly sharedLabels: Labels
  readonly value: number
  /** Of a histogram: the name of the line where it is not that of the family. */
  readonly metricName?: string
}

export interface FilledFamily {
  readonly family: MetricFamily
  readonly samples: readonly Sample[]
}

/** A shared one, as prom-client keeps for each object what it was made into. */
export const noLabels: Labels = {}

export type MetricsFormat = 'prometheus' | 'openmetrics'

export const metricsTypes: Readonly<Record<MetricsFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/** After so many lines others get their turn: within a family of ten thousand credentials too, which takes tens of milliseconds. */
const linesAtOnce = 500

export interface Exposition {
  /** Piece by piece, so that nothing is held up for long. */
  readonly write: (
    families: readonly FilledFamily[],
    format: MetricsFormat,
    breathe: () => Promise<void>,
  ) => Promise<string>
}

/** prom-client takes long to load (some 50 ms), and is needed by nobody who is not scraped: it comes with the first scrape. */
export async function loadExposition(): Promise<Exposition> {
  const { Gauge, Registry, collectDefaultMetrics } = await import('prom-client')

  /**
   * A metric that is made of what is read for one answer and forgotten: prom-client's own ones keep a map of all that was
   * ever set. Of the base there remains the check of the names; what kind it is, the answer of `get` says.
   */
  class ReadMetric extends Gauge {
    readonly #read: FilledFamily
    readonly #name: string
    constructor(read: FilledFamily, name: string) {
      const { help, labels } = read.family
      super({ name, help, labelNames: [...labels], registers: [] })
      this.#read = read
      this.#name = name
    }
    override get(): ReturnType<InstanceType<typeof Gauge>['get']> {
      const { family, samples } = this.#read
      const told: object = { name: this.#name, help: family.help, type: family.type, values: samples }
      return Promise.resolve(told as Awaited<ReturnType<InstanceType<typeof Gauge>['get']>>)
    }
  }

  const ofProcess = new Registry()
  collectDefaultMetrics({ register: ofProcess })

  /** All are read, in their order: one of them sets others beside itself. */
  async function readProcess(): Promise<readonly FilledFamily[]> {
    const found = new Map((await ofProcess.getMetricsAsJSON()).map((one) => [one.name, one.values]))
    return Object.values<MetricFamily>(processFamilies).map((family) => ({
      family,
      samples: (found.get(family.name) ?? []).map(({ value }) => ({
        labels: noLabels,
        sharedLabels: noLabels,
        value,
      })),
    }))
  }

  async function writeOne(one: FilledFamily, format: MetricsFormat): Promise<string> {
    if (format === 'prometheus') {
      const registry = new Registry()
      registry.registerMetric(new ReadMetric(one, one.family.name))
      return await registry.getSingleMetricAsString(one.family.name)
    }
    // There a counter is called by its name without the ending, which its one line gets again.
    const name = one.family.type === 'counter' ? one.family.name.replace(/_total$/, '') : one.family.name
    const registry = new Registry<OpenMetricsContentType>()
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    registry.registerMetric(new ReadMetric(one, name))
    return await registry.getSingleMetricAsString(name)
  }

  return {
    async write(families, format, breathe) {
      const texts: string[] = []
      let lines = 0
      for (const one of [...families, ...(await readProcess())])
        for (let from = 0; from < one.samples.length; from += linesAtOnce) {
          const samples = one.samples.slice(from, from + linesAtOnce)
          const text = await writeOne({ ...one, samples }, format)
          texts.push(from === 0 ? text : withoutHead(text))
          lines += samples.length
          if (lines >= linesAtOnce) {
            lines = 0
            await breathe()
          }
        }
      return `${texts.join('\n')}\n${format === 'openmetrics' ? '# EOF\n' : ''}`
    },
  }
}

/** A family has its two lines of HELP and TYPE once, and its lines stand together. */
function withoutHead(text: string): string {
  return text.slice(text.indexOf('\n', text.indexOf('\n') + 1) + 1)
}

/** RFC 9110, 12.5.1, as far as it matters here: OpenMetrics for whoever names it and likes plain text no better. */
export function formatFor(accept: string | undefined): MetricsFormat {
  const weightOf = (type: string): number => {
    const range = accept?.split(',').find((one) => one.split(';', 1)[0]?.trim().toLowerCase() === type)
    if (range === undefined) return 0
    const weight = /;\s*q=([0-9.]+)/i.exec(range)?.[1]
    return weight === undefined ? 1 : Number(weight)
  }
  const openMetrics = weightOf('application/openmetrics-text')
  return openMetrics > 0 && openMetrics >= weightOf('text/plain') ? 'openmetrics' : 'prometheus'
}
