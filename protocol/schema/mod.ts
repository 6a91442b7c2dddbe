// Control messages: types, encoders and strict decoders, generated from the .proto files of this folder.

export { MESSAGE_BYTES_MAX } from './limits.ts'
export * from './messages.gen.ts'
