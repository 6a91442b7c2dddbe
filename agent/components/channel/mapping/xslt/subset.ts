/** Why a stylesheet is not a mapping. `line` is added where it is known. */
export class NotInSubset extends Error {
  line: number | null = null
}
