import type {
  BlastRadius,
  CredentialAnswer,
  CredentialSummary,
  InventoryAnswer,
  RetirementSummary,
  RotationSummary,
  TokenSummary,
  VersionSummary,
} from '../../src/api/types.ts'

/** Stands in everything that is secret here; no output may show it but that of `get`. */
export const canary = `CANARY${'x7Q'.repeat(9)}`
export const operatorToken = `kt_op_${canary}`
export const apiKey = ['sk', 'svcacct', canary].join('-')

export const start = Date.parse('2026-11-21T12:00:00.000Z')
export const instant = (seconds: number): string => new Date(start + seconds * 1_000).toISOString()

export const credentialAnswer: CredentialAnswer = {
  name: 'openai',
  apiKey,
  organization: 'org-a',
  project: null,
  baseUrl: 'https://api.openai.com/v1',
  version: 'v-current',
  fingerprint: '0123456789ab',
  stage: 'current',
  verdict: 'valid',
  verifiedAt: instant(0),
  rotatesAt: null,
  staleAfterSeconds: 60,
  generation: 4,
}

export const versionSummary: VersionSummary = {
  version: 'v-current-0001',
  stage: 'current',
  origin: 'minted',
  fingerprint: '0123456789ab',
  keyId: 'key_a',
  organization: 'org-a',
  project: 'proj_a',
  serviceAccount: 'svc_acct_a',
  addedAt: instant(-60),
  createdAt: instant(-60),
  expiresAt: instant(86_400),
  promotedAt: instant(-30),
  verifiedAt: instant(-5),
  withdrawnAt: null,
  isCompromised: false,
  check: {
    verdict: 'valid',
    cause: 'valid',
    summary: 'OpenAI accepted the key.',
    fix: '',
    checkedAt: instant(-5),
  },
}

export const inventory: InventoryAnswer = {
  at: instant(0),
  items: [
    {
      keyId: 'key_orphan',
      kind: 'project',
      name: 'keyturn-5c1e9a02-0123456789abcdef0123',
      redacted: 'sk-ab...wxyz',
      project: 'proj_a',
      projectName: 'Payments',
      owner: 'keyturn',
      ownerKind: 'service_account',
      createdAt: instant(-3_600),
      lastUsedAt: null,
      isNeverUsed: true,
      expiresAt: null,
      standing: 'suspect',
      holders: [],
    },
    {
      keyId: 'key_a',
      kind: 'project',
      name: 'keyturn-5c1e9a02-abcdef0123456789abcd',
      redacted: 'sk-cd...1234',
      project: 'proj_a',
      projectName: 'Payments',
      owner: 'keyturn',
      ownerKind: 'service_account',
      createdAt: instant(-86_400),
      lastUsedAt: instant(-5),
      isNeverUsed: false,
      expiresAt: instant(86_400),
      standing: 'held',
      holders: [{ credential: 'openai', version: 'v-current-0001', stage: 'current' }],
    },
  ],
  gaps: [],
}

export function summaryOf(name: string, change: Partial<CredentialSummary> = {}): CredentialSummary {
  return {
    name,
    isInternal: false,
    generation: 4,
    current: versionSummary,
    versions: [versionSummary],
    rotation: rotationAt('minting'),
    retirements: [],
    rotatesAt: instant(3_600),
    blackoutUntil: null,
    troubles: [],
    store: 'local',
    standby: null,
    mirrors: [],
    issuer: 'openai',
    ...change,
  }
}

const order = ['checking', 'minting', 'proving', 'extending', 'promoting', 'confirming', 'done']

/** A rotation that has just entered a phase, having taken ten seconds for each one before. */
export function rotationAt(phase: string, change: Partial<RotationSummary> = {}): RotationSummary {
  const reached = order.slice(0, order.indexOf(phase) + 1)
  return {
    id: 'r',
    credential: 'openai',
    mode: 'normal',
    reason: 'no reason given',
    requestedBy: 'ops',
    phase,
    isPaused: false,
    outcome: phase === 'done' ? 'promoted' : null,
    from: 'v-old',
    to: phase === 'minting' ? null : 'v-new',
    startedAt: instant(0),
    phaseAt: instant(Math.max(0, reached.length - 1) * 10),
    deadlineAt: phase === 'done' ? null : instant(900),
    endedAt: phase === 'done' ? instant(60) : null,
    halt: null,
    failure: null,
    permissions: [],
    residue: [],
    steps: reached.map((name, index) => ({ at: instant(index * 10), phase: name, note: `${name} began` })),
    retirement: null,
    ...change,
  }
}

export function retirementAt(phase: string, change: Partial<RetirementSummary> = {}): RetirementSummary {
  const isOver = phase === 'dead' || phase === 'kept'
  return {
    id: 't',
    version: 'v-old',
    fingerprint: 'ba9876543210',
    phase,
    startedAt: instant(60),
    overlapUntil: instant(120),
    heldBy: null,
    endedAt: isOver ? instant(200) : null,
    halt: null,
    steps: [
      { at: instant(60), phase: 'draining', note: 'both keys live' },
      ...(phase === 'draining' ? [] : [{ at: instant(130), phase, note: `${phase} began` }]),
    ],
    ...change,
  }
}

export const tokenSummary: TokenSummary = {
  id: 'tok_1',
  name: 'billing',
  role: 'app',
  credentials: ['openai'],
  grants: [{ credentials: ['openai'], may: ['read'] }],
  createdAt: instant(-60),
  expiresAt: null,
  lastUsedAt: null,
}

export function blastRadiusOf(change: Partial<BlastRadius> = {}): BlastRadius {
  return {
    credential: 'openai',
    version: 'v-old',
    fingerprint: 'ba9876543210',
    stage: 'previous',
    keyId: 'key_old',
    isCurrent: false,
    createdAt: instant(-86_400),
    lastUse: 'never',
    lastUsedAt: null,
    holders: [],
    mirrors: [],
    sharedWith: [],
    spare: { version: 'v-current-0001', fingerprint: '0123456789ab', stage: 'current' },
    ...change,
  }
}
