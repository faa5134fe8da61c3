/** What to tell the user of a Node that is too old (`version` as in process.versions.node), or undefined. */
export function nodeProblem(version: string): string | undefined
