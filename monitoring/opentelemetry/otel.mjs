// Registers an SDK of OpenTelemetry before Keyturn starts, which then sends its traces through it:
//
//   npm install @opentelemetry/sdk-node@0 @opentelemetry/exporter-trace-otlp-proto@0
//   OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 NODE_OPTIONS='--import ./otel.mjs' keyturn serve
//
// Where to, how much is sampled and as whom is said by OpenTelemetry's own variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER …).
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { NodeSDK } from '@opentelemetry/sdk-node'

const sdk = new NodeSDK({
  serviceName: process.env.OTEL_SERVICE_NAME ?? 'keyturn',
  traceExporter: new OTLPTraceExporter(),
  // Keyturn traces itself; what instruments every request of Node would add nothing but noise.
  instrumentations: [],
})
sdk.start()

// What has not been sent yet when the process ends.
process.once('beforeExit', () => void sdk.shutdown())
