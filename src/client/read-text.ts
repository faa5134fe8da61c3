/** Tokens, and chains of certificates with all their authorities, are far below it. */
const textBytesMax = 1_048_576

/**
 * The text of a small file. Rejects with what the system says, and for what is no file: opening a pipe that nobody writes to
 * would keep a thread of the application waiting, at each try another one.
 */
export async function readText(path: string): Promise<string> {
  const [{ constants }, { open }] = await Promise.all([import('node:fs'), import('node:fs/promises')])
  // Windows has no such flag, and no such pipes in folders.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const found = await file.stat()
    if (!found.isFile()) throw new Error(`${path} is not a regular file`)
    if (found.size > textBytesMax) throw new Error(`${path} is longer than ${textBytesMax} bytes`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
