import type { Hash } from '../core/ports.ts'
import { findingKinds } from './catalogue.ts'
import type { DoctorReport, ReportedFinding } from './report.ts'

/** What code scanning reads: OASIS SARIF 2.1.0, as far as it is used here. */
export interface SarifLog {
  readonly $schema: string
  readonly version: '2.1.0'
  readonly runs: readonly object[]
}

/** Pages of explanations by code; a code without one has none. */
type Explain = (code: string) => string | undefined

/** The rules of the catalogue, and a result for each finding. */
export function sarifOf(
  report: DoctorReport,
  { hash, explain }: { readonly hash: Hash; readonly explain: Explain },
): SarifLog {
  const codes = Object.keys(findingKinds)
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'keyturn doctor',
            semanticVersion: report.keyturn,
            rules: Object.entries(findingKinds).map(([code, kind]) => ruleOf(code, kind, explain(code))),
          },
        },
        columnKind: 'utf16CodeUnits',
        originalUriBaseIds: { [root]: { description: { text: 'The folder that was looked at.' } } },
        invocations: [
          {
            executionSuccessful: report.broken.length === 0,
            startTimeUtc: report.at,
            toolExecutionNotifications: report.broken.map(({ check, code }) => ({
              level: 'error',
              message: { text: `The check ${check} broke (${code}); what it would have found is not known.` },
            })),
          },
        ],
        results: report.findings.map((finding) => resultOf(finding, codes.indexOf(finding.code), hash)),
      },
    ],
  }
}

const root = 'SRCROOT'

function ruleOf(
  code: string,
  { row, severity, title }: { readonly row: string; readonly severity: string; readonly title: string },
  explanation: string | undefined,
): object {
  const text = explanation ?? title
  return {
    id: code,
    name: code.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    shortDescription: { text: `${title.charAt(0).toUpperCase()}${title.slice(1)}.` },
    helpUri: `urn:keyturn:finding:${code}`,
    help: { text, markdown: text },
    defaultConfiguration: { level: severity },
    properties: { tags: ['openai', row], precision: 'high' },
  }
}

function resultOf(finding: ReportedFinding, ruleIndex: number, hash: Hash): object {
  const { code, severity, seen, cause, fix, at } = finding
  return {
    ruleId: code,
    ruleIndex,
    level: severity,
    message: { text: `${sentence(seen)} ${cause}\n\nFix: ${fix}` },
    locations: [locationOf(finding)],
    // Without the line, which moves with every edit above it.
    partialFingerprints: {
      'keyturnFinding/v1': hash.sha256Hex(`${code}\n${placeName(finding) ?? at ?? ''}`).slice(0, 32),
    },
    properties: {
      fix,
      ...(finding.fingerprint === null ? {} : { keyFingerprint: finding.fingerprint }),
      ...(finding.requestId === null ? {} : { requestId: finding.requestId }),
    },
  }
}

/** Code scanning takes no result without a file of the repository: what is in none is told of the folder. */
function locationOf(finding: ReportedFinding): object {
  const { place, at } = finding
  if (place?.kind === 'file' && !isOutside(place.path)) {
    const { path, line, column } = place
    return {
      physicalLocation: {
        artifactLocation: { uri: path.split('/').map(encodeURIComponent).join('/'), uriBaseId: root },
        region: { startLine: line ?? 1, ...(column === undefined ? {} : { startColumn: column }) },
      },
    }
  }
  return {
    physicalLocation: {
      artifactLocation: { uri: '.', uriBaseId: root },
      region: { startLine: 1 },
    },
    ...(at === null ? {} : { logicalLocations: [{ fullyQualifiedName: at, kind: place?.kind ?? 'object' }] }),
  }
}

function isOutside(path: string): boolean {
  return path.startsWith('/') || path === '..' || path.startsWith('../')
}

function placeName({ place }: ReportedFinding): string | undefined {
  return place?.kind === 'file' ? `${place.path} ${place.name ?? ''}` : undefined
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
