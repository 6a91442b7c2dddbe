// Bounds of the hub's security folder, with their arithmetic.

const DAY_MS = 24 * 60 * 60 * 1000
const YEAR_MS = 365 * DAY_MS

/** The authority outlives the hub's hardware; no leaf is dated beyond it. */
export const AUTHORITY_VALID_MS = 30 * YEAR_MS
/** Leaves last as long as an appliance; taking rights away is the registry's job, not the calendar's. */
export const LEAF_VALID_MS = 10 * YEAR_MS
/** No browser takes a certificate that lasts longer than 825 days; it is made anew when the rest gets short. */
export const BROWSER_VALID_MS = 800 * DAY_MS
export const BROWSER_REST_MS = 60 * DAY_MS
/** Certificates start a day in the past: the bearer's clock may be behind. */
export const BACKDATE_MS = DAY_MS

/** Each host name adds about 40 B to the hub's certificate; 64 keep it below 4 KiB of the 8 KiB allowed. */
export const HOST_NAMES_MAX = 64
export const HOST_NAME_LENGTH_MAX = 253

/** Agents one hub knows; a record is about 1 KiB, so the cache stays below 16 MiB. */
export const AGENTS_MAX = 16_384
/** Certificates of one agent's present key that stay valid: each repeat of an interrupted enrolment adds one. */
export const SERIALS_MAX = 8

/** Patterns of one kind for one agent, and their length: 256 × 256 B = 64 KiB at most in a record. */
export const PATTERNS_MAX = 256
export const PATTERN_LENGTH_MAX = 256
/** Each group is a pattern of the agent's inbox; 64 names of 64 characters are 16 KiB at most in a record. */
export const GROUPS_PER_AGENT_MAX = 64
export const GROUP_NAME_LENGTH_MAX = 64
/** Two pattern lists of 64 KiB, in JSON with quotes and commas, and the rest. */
export const RECORD_BYTES_MAX = 512 * 1024

export const INVITATIONS_MAX = 4096
export const INVITATION_MS_MAX = 90 * DAY_MS
/** Spent and expired invitations are kept this long, so that their faults can say what happened. */
export const INVITATION_KEPT_MS = 30 * DAY_MS

/** A link that may be used longer than this is an account that nobody looks after. */
export const LINK_MS_MAX = 90 * DAY_MS
/** A token in an address: topic and headers of 2 KiB and their HMAC; servers and proxies take addresses of 8 KiB. */
export const LINK_TOKEN_LENGTH_MAX = 4096
/** Links that are listed, good or expired; each less than 1 KiB: a topic has 255 bytes. */
export const LINKS_MADE_MAX = 10_000
export const LINKS_MADE_BYTES_MAX = LINKS_MADE_MAX * 1024
/** Revoked links of 90 days: at 32 B a line 320 KB, below the bound of a record. */
export const LINKS_REVOKED_MAX = 10_000
