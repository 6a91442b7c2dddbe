/** Memory that threads share, filled with zeros: what goes to a thread is where bytes are, not what they are. */
export const sharedBuffer = (bytes: number): Buffer => Buffer.from(new SharedArrayBuffer(bytes))
