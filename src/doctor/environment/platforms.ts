/** Where a program runs that gets its variables from a platform, and how that is told one. */
export interface Platform {
  readonly title: string
  /** Any of them is set there. */
  readonly variables: readonly string[]
  /** The command, or a sentence where there is none. */
  readonly fix: string
}

/** What people run to set it; `$OPENAI_API_KEY` is that of the shell in which they do. */
const value = '"$OPENAI_API_KEY"'

/** The most specific first: functions run on clusters, and builds run on functions. */
export const platforms: readonly Platform[] = [
  {
    title: 'AWS Lambda',
    variables: ['AWS_LAMBDA_FUNCTION_NAME'],
    fix: 'This replaces all of its variables, so name the others as well:\naws lambda update-function-configuration --function-name <function> --environment "Variables={OPENAI_API_KEY=$OPENAI_API_KEY}"',
  },
  {
    title: 'Vercel',
    variables: ['VERCEL'],
    fix: 'vercel env add OPENAI_API_KEY production && vercel redeploy <deployment>',
  },
  {
    title: 'Netlify',
    variables: ['NETLIFY'],
    fix: `netlify env:set OPENAI_API_KEY ${value} --secret && netlify deploy --prod`,
  },
  {
    title: 'Azure Functions',
    variables: ['FUNCTIONS_WORKER_RUNTIME'],
    fix: 'az functionapp config appsettings set --name <app> --resource-group <group> --settings "OPENAI_API_KEY=$OPENAI_API_KEY"',
  },
  {
    title: 'Azure App Service',
    variables: ['WEBSITE_INSTANCE_ID'],
    fix: 'az webapp config appsettings set --name <app> --resource-group <group> --settings "OPENAI_API_KEY=$OPENAI_API_KEY"',
  },
  {
    title: 'Google Cloud Run',
    variables: ['K_SERVICE', 'CLOUD_RUN_JOB'],
    fix: 'gcloud run services update <service> --update-secrets OPENAI_API_KEY=<secret>:latest',
  },
  {
    title: 'GitHub Actions',
    variables: ['GITHUB_ACTIONS'],
    fix: 'In the step: env: { OPENAI_API_KEY: "${{ secrets.OPENAI_API_KEY }}" } (runs for forks get no secrets), after:\ngh secret set OPENAI_API_KEY',
  },
  {
    title: 'GitLab CI',
    variables: ['GITLAB_CI'],
    fix: 'Protected variables reach protected branches only:\nglab variable set OPENAI_API_KEY --masked',
  },
  {
    title: 'CircleCI',
    variables: ['CIRCLECI'],
    fix: 'Name the context in the workflow, after:\ncircleci context store-secret --org-id <organisation> <context> OPENAI_API_KEY',
  },
  {
    title: 'Azure Pipelines',
    variables: ['TF_BUILD'],
    fix: 'In the step: env: { OPENAI_API_KEY: $(OPENAI_API_KEY) }, after:\naz pipelines variable create --name OPENAI_API_KEY --secret true --pipeline-name <pipeline>',
  },
  {
    title: 'Bitbucket Pipelines',
    variables: ['BITBUCKET_BUILD_NUMBER'],
    fix: 'Add OPENAI_API_KEY as a secured variable: Repository settings, Pipelines, Repository variables.',
  },
  {
    title: 'AWS CodeBuild',
    variables: ['CODEBUILD_BUILD_ID'],
    fix: 'In buildspec.yml: env: { secrets-manager: { OPENAI_API_KEY: <secret> } }',
  },
  {
    title: 'Jenkins',
    variables: ['JENKINS_URL'],
    fix: "In the Jenkinsfile: environment { OPENAI_API_KEY = credentials('openai-api-key') }",
  },
  {
    title: 'Render',
    variables: ['RENDER'],
    fix: 'Add OPENAI_API_KEY under Environment of the service: https://dashboard.render.com',
  },
  { title: 'Heroku', variables: ['DYNO'], fix: `heroku config:set OPENAI_API_KEY=${value}` },
  { title: 'Fly.io', variables: ['FLY_APP_NAME'], fix: `fly secrets set OPENAI_API_KEY=${value}` },
  {
    title: 'Railway',
    variables: ['RAILWAY_ENVIRONMENT', 'RAILWAY_ENVIRONMENT_ID', 'RAILWAY_PROJECT_ID', 'RAILWAY_SERVICE_ID'],
    fix: 'railway variables --set "OPENAI_API_KEY=$OPENAI_API_KEY"',
  },
  {
    title: 'Cloudflare',
    variables: ['CF_PAGES', 'WORKERS_CI'],
    fix: 'npx wrangler secret put OPENAI_API_KEY',
  },
  {
    title: 'Amazon ECS',
    variables: ['ECS_CONTAINER_METADATA_URI_V4', 'ECS_CONTAINER_METADATA_URI'],
    fix: 'In the container definition: "secrets": [{ "name": "OPENAI_API_KEY", "valueFrom": "<ARN of the secret>" }]',
  },
  {
    title: 'Kubernetes',
    variables: ['KUBERNETES_SERVICE_HOST'],
    fix: 'kubectl create secret generic openai --from-literal=OPENAI_API_KEY="$OPENAI_API_KEY" && kubectl set env deployment/<deployment> --from=secret/openai',
  },
]

export function platformOf(env: Readonly<Record<string, string | undefined>>): Platform | undefined {
  return platforms.find(({ variables }) => variables.some((name) => (env[name] ?? '') !== ''))
}
