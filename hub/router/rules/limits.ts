// Bounds of a rule set, with their arithmetic.

const MIB = 2 ** 20

/** Rules of one set: compiled they take some 1 KiB each, with what they were read from: 100 MB. */
export const RULES_MAX = 100_000
/** JSON text of a set: 100,000 rules of 300 bytes are 30 MB, pipelines and cases may be as much. YAML ends sooner (protocol/fields). */
export const RULES_TEXT_BYTES_MAX = 64 * MIB
/** Values (names not counted) in it: 20 of each rule. At 200 bytes while they are read 400 MB, in a process of its own. */
export const RULES_VALUES_MAX = 2_000_000

export const RULE_NAME_CHARS_MAX = 100
/** Patterns of one rule, and of all rules: a pattern takes some 400 bytes of the index: 160 MB. */
export const RULE_TOPICS_MAX = 1_000
export const PATTERNS_MAX = 400_000
/** Headers one rule compares: no message has more. */
export const RULE_HEADERS_MAX = 64
/** Values a header may have; looked up by hash. */
export const RULE_VALUES_MAX = 1_000
export const RULE_VALUE_CHARS_MAX = 1_024
/** Different conditions on content, of all rules: some 5 KiB in each thread that asks them, 100 MB. */
export const CONDITIONS_MAX = 20_000
/** Queues one rule sends to. */
export const RULE_QUEUES_MAX = 100

export const PIPELINES_MAX = 1_000
/** As in a flow. */
export const STEPS_MAX = 50

export const CASES_MAX = 10_000
/** The body of a case in the file; larger ones stand in files of their own, each of at most so many bytes. */
export const CASE_BODY_CHARS_MAX = MIB
export const CASE_FILE_BYTES_MAX = 16 * MIB

/** Rules of one pattern up to this many are compared one by one: about what two look-ups by hash cost. */
export const SCANNED_RULES_MAX = 8
/** So many rules are compared with a message as soon as an earlier answer for its envelope is found. */
export const QUICK_RULES_MAX = 32
/** Topics of which it is remembered which rules ask for them: some 200 bytes each. */
export const REMEMBERED_TOPICS_MAX = 16_384
/** Answers that are remembered, each of some queues: as many as rules that send each elsewhere. */
export const REMEMBERED_ANSWERS_MAX = 131_072
/** Entries of header values in the index: 8 bytes each, 64 MB. What is beyond is found by the header's name alone. */
export const INDEX_ENTRIES_MAX = 8 * MIB
/** Rules compiled between two looks at the clock: some 50 µs. */
export const RULES_PER_STEP = 16
/** Of a slice of compiling; what waits meanwhile is a batch of messages. */
export const SLICE_MS = 5

/** Findings of one lint that are told. */
export const FINDINGS_MAX = 1_000
/** Earlier rules compared with one rule, to find whether one of them takes everything. */
export const COMPARED_MAX = 1_000
