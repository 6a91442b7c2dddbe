export { KEY_ID_BYTES, keyIdOf, type SigningKey, signingKey } from './key.ts'
export { LEAF_PREFIX, merkleRoot, multiProof, nodeHash, rootFromProof } from './merkle.ts'
export { DIGEST_BYTES, ed25519, SUITE_ED25519, SUITE_NONE, type Suite, suiteOf } from './suite.ts'
