import type { Decrypter, Encrypter } from 'age-encryption'

/**
 * Whole files through age's own streams. Given bytes or text, the package collects its result with a Response, and the
 * first Response of a process loads undici, which takes 20 ms and stays in memory.
 */
export async function encryptBytes(encrypter: Encrypter, bytes: Uint8Array): Promise<Uint8Array> {
  return await collect(await encrypter.encrypt(streamOf(bytes)))
}

/** Rejects where the bytes are no age file for the decrypter's identities. */
export async function decryptBytes(decrypter: Decrypter, bytes: Uint8Array): Promise<Uint8Array> {
  return await collect(await decrypter.decrypt(streamOf(bytes)))
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes)
      controller.close()
    },
  })
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}
