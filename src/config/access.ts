import type { AccessPolicy, CertificateRule, JwtRule } from '../core/access.ts'
import type { GrantRule } from '../core/grants.ts'
import { nearest } from '../core/nearest.ts'
import { createMatcher } from '../core/patterns.ts'
import { type PolicyFile, policyFileSchema } from './access-schema.ts'
import { type KeyPath, readDocument, secretsIn } from './document.ts'
import { durationMs } from './duration.ts'
import { keysAt } from './known-keys.ts'
import { dotted, problemsOf } from './problems.ts'
import type { ConfigProblem, Report } from './types.ts'

export interface PolicyChecks {
  /** Every credential that is configured, internal ones too. */
  readonly names: readonly string[]
  readonly report: Report
  /** What is allowed and hardly meant. */
  readonly warn: Report
}

/** From the rules as written to the rules as used, with all that only shows when they are seen together. */
export function buildPolicyRules(
  file: PolicyFile,
  base: KeyPath,
  { resolve, ...checks }: PolicyChecks & { readonly resolve: (path: string) => string },
): AccessPolicy {
  const grants = (written: PolicyFile['tokens'][number]['grants'], at: KeyPath): readonly GrantRule[] =>
    written.map((rule, index) => buildGrant(rule, [...at, 'grants', index], checks))
  const policy: AccessPolicy = {
    tokens: file.tokens.map((rule, index) => ({
      name: rule.name,
      grants: grants(rule.grants, [...base, 'tokens', index]),
    })),
    jwt: file.jwt.map((rule, index) => {
      const at = [...base, 'jwt', index]
      return buildJwt(rule, { grants: grants(rule.grants, at), at, resolve, checks })
    }),
    certificates: file.certificates.map((rule, index): CertificateRule => {
      const [field, pattern] =
        rule.uri !== undefined
          ? (['uri', rule.uri] as const)
          : rule.dns !== undefined
            ? (['dns', rule.dns] as const)
            : (['cn', rule.cn ?? ''] as const)
      const at = [...base, 'certificates', index]
      if (/^[*./:]*$/.test(pattern)) checks.report([...at, field], tooBroad, 'Name a part that is fixed.')
      return { field, pattern, grants: grants(rule.grants, at) }
    }),
    socket: file.socket === undefined ? [] : grants(file.socket.grants, [...base, 'socket']),
    approvals: file.approvals.map((rule, index) => {
      checkNames(rule.credentials, [...base, 'approvals', index, 'credentials'], checks)
      return rule
    }),
  }
  warnOfUnreachable(policy, base, checks.warn)
  return policy
}

const tooBroad = 'this pattern fits every name'

export type PolicyFileCheck =
  | { readonly kind: 'valid'; readonly policy: AccessPolicy; readonly warnings: readonly ConfigProblem[] }
  | { readonly kind: 'invalid'; readonly problems: readonly ConfigProblem[] }

/** The file that `access.file` names, with every problem at its place. */
export function readPolicyFile(
  text: string,
  context: { readonly names: readonly string[]; readonly resolve: (path: string) => string },
): PolicyFileCheck {
  const document = readDocument(text)
  const problems = [...secretsIn(text), ...document.problems]
  const warnings: ConfigProblem[] = []
  // A file that was cut off, by a full disk or while it is being written, must not pass for one without rules.
  if (problems.length === 0 && (document.value ?? null) === null)
    problems.push({
      line: 1,
      column: 1,
      path: '',
      message: 'the file is empty',
      fix: 'Write {} for no rules.',
    })
  const parsed = policyFileSchema.safeParse(document.value ?? {})
  // The same keys as under `access`, so what is known there is known here.
  if (!parsed.success)
    problems.push(
      ...problemsOf(parsed.error.issues, document, (path) =>
        keysAt(['access', ...path], { access: document.value }).filter((key) => key !== 'file'),
      ),
    )
  const into =
    (list: ConfigProblem[]): Report =>
    (path, message, fix) => {
      list.push({ ...document.place(path), path: dotted(path), message, fix })
    }
  if (!parsed.success || problems.length > 0) return { kind: 'invalid', problems }
  const policy = buildPolicyRules(parsed.data, [], {
    ...context,
    report: into(problems),
    warn: into(warnings),
  })
  return problems.length > 0 ? { kind: 'invalid', problems } : { kind: 'valid', policy, warnings }
}

export function joinPolicies(first: AccessPolicy, second: AccessPolicy): AccessPolicy {
  return {
    tokens: [...first.tokens, ...second.tokens],
    jwt: [...first.jwt, ...second.jwt],
    certificates: [...first.certificates, ...second.certificates],
    socket: [...first.socket, ...second.socket],
    approvals: [...first.approvals, ...second.approvals],
  }
}

function buildGrant(
  { credentials, may }: PolicyFile['tokens'][number]['grants'][number],
  at: KeyPath,
  checks: PolicyChecks,
): GrantRule {
  const isOfCredentials = may.some((grant) => grant !== 'metrics' && grant !== 'dashboard')
  if (credentials === undefined) {
    if (isOfCredentials)
      checks.report(at, "'credentials' is missing", 'Name the credentials, or [*] for all of them.')
    return { credentials: ['*'], may }
  }
  checkNames(credentials, [...at, 'credentials'], checks)
  return { credentials, may }
}

function checkNames(patterns: readonly string[], at: KeyPath, { names, report, warn }: PolicyChecks): void {
  patterns.forEach((pattern, index) => {
    if (names.some((name) => createMatcher([pattern]).matches(name))) return
    const near = nearest(pattern, names)
    const fix = near === undefined ? 'Correct the name.' : `Did you mean '${near}'?`
    if (pattern.includes('*'))
      warn([...at, index], `no credential fits '${pattern}'`, 'Correct it, or leave it for later ones.')
    else report([...at, index], `no credential is named '${pattern}'`, fix)
  })
}

/** Issuers that make tokens for everybody in the world, and the claims of which one must say for whom. */
const publicIssuers: readonly { readonly host: string; readonly claims: readonly string[] }[] = [
  {
    host: 'token.actions.githubusercontent.com',
    claims: [
      'repository',
      'repository_id',
      'repository_owner',
      'repository_owner_id',
      'enterprise',
      'job_workflow_ref',
      'sub',
    ],
  },
  { host: 'accounts.google.com', claims: ['sub', 'email', 'hd'] },
  { host: 'app.terraform.io', claims: ['sub', 'terraform_organization_name', 'terraform_organization_id'] },
  { host: 'agent.buildkite.com', claims: ['sub', 'organization_slug', 'organization_id'] },
  { host: 'oidc.vercel.com', claims: ['sub', 'owner', 'owner_id'] },
  { host: 'gitlab.com', claims: ['project_path', 'project_id', 'namespace_path', 'namespace_id', 'sub'] },
]

interface JwtParts {
  readonly grants: readonly GrantRule[]
  readonly at: KeyPath
  readonly resolve: (path: string) => string
  readonly checks: PolicyChecks
}

function buildJwt(rule: PolicyFile['jwt'][number], { grants, at, resolve, checks }: JwtParts): JwtRule {
  const claims = Object.entries(rule.claims).map(([claim, value]) => ({
    claim,
    patterns: typeof value === 'string' ? [value] : value,
  }))
  const isNarrow = (names?: readonly string[]): boolean =>
    claims.some(
      ({ claim, patterns }) =>
        names?.includes(claim) !== false && patterns.every((pattern) => hasFixedBeginning(claim, pattern)),
    )
  const known = publicIssuers.find(({ host }) => new URL(rule.issuer).hostname === host)
  if (known !== undefined && !isNarrow(known.claims))
    checks.report(
      at,
      'this issuer makes tokens for everybody, and no claim says for whom',
      `Add one of ${known.claims.join(', ')} under claims, with its beginning fixed.`,
    )
  else if (!isNarrow())
    checks.warn(at, 'every token of this issuer for this audience is let in', 'Add claims, e.g. sub.')
  if (rule.jwks !== undefined && rule.jwksFile !== undefined)
    checks.report([...at, 'jwksFile'], 'there is jwks already', 'Keep one of jwks and jwksFile.')
  return {
    name: rule.name,
    issuer: rule.issuer,
    audience: typeof rule.audience === 'string' ? [rule.audience] : rule.audience,
    ...(rule.jwks === undefined ? {} : { jwksUrl: rule.jwks }),
    ...(rule.jwksFile === undefined ? {} : { jwksFile: resolve(rule.jwksFile) }),
    algorithms: rule.algorithms,
    claims,
    nameClaim: rule.nameClaim,
    lifetimeMaxMs: durationMs(rule.lifetimeMax),
    grants,
  }
}

/** In `sub` the beginning may be a word for what follows, as in `repo:acme/app`: the same for everybody. */
function hasFixedBeginning(claim: string, pattern: string): boolean {
  return /^[^*]{2}/.test(claim === 'sub' ? pattern.replace(/^[a-z_]+:/, '') : pattern)
}

/** The first rule that fits decides, so one that asks for no less than an earlier one is never reached. */
function warnOfUnreachable(policy: AccessPolicy, base: KeyPath, warn: Report): void {
  policy.jwt.forEach((rule, index) => {
    const earlier = policy.jwt.slice(0, index).findIndex((other) => isWider(other, rule))
    if (earlier >= 0)
      warn([...base, 'jwt', index], `never reached: entry ${earlier + 1} takes all of its tokens`, reorder)
  })
  const same = (kind: 'tokens' | 'certificates', keys: readonly string[]): void =>
    keys.forEach((key, index) => {
      const earlier = keys.slice(0, index).findIndex((other) => other === key || other.endsWith(' **'))
      if (earlier >= 0)
        warn([...base, kind, index], `never reached: entry ${earlier + 1} fits the same names`, reorder)
    })
  same(
    'tokens',
    policy.tokens.map(({ name }) => (name === '*' ? ' **' : name)),
  )
  same(
    'certificates',
    policy.certificates.map(({ field, pattern }) => `${field} ${pattern}`),
  )
}

const reorder = 'Put the narrower rule first, or remove it.'

function isWider(one: JwtRule, other: JwtRule): boolean {
  return (
    one.issuer === other.issuer &&
    other.audience.every((audience) => one.audience.includes(audience)) &&
    other.algorithms.every((algorithm) => one.algorithms.includes(algorithm)) &&
    one.lifetimeMaxMs >= other.lifetimeMaxMs &&
    one.claims.every(({ claim, patterns }) => {
      const asked = other.claims.find((each) => each.claim === claim)
      return (
        asked?.patterns.every((pattern) => patterns.includes(pattern) || patterns.includes('**')) === true
      )
    })
  )
}
