// One message of a kind, filled, with its encoding.

export type ControlSample = {
  readonly kind: number
  /** Its name in the .proto files. */
  readonly message: string
  readonly value: object
  readonly bytes: Buffer
}

export function sample<T extends object>(
  kind: number,
  message: string,
  encode: (value: T) => Buffer,
  value: T,
): ControlSample {
  return { kind, message, value, bytes: encode(value) }
}
