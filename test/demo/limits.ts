// The demo's bounds. Waiting times are for a machine with 2 cores; DEMO_PATIENCE multiplies them on a slower one.

const patience = Math.max(1, Math.min(20, Number(process.env.DEMO_PATIENCE ?? 1) || 1))

/** How often the state is read. The slowest thing shown changes every 500 ms; a crash at 30 % is met within 1–2 %. */
export const TICK_MS = 150

/** One `init`, `invite` or `enroll`: a Node start (0.1–0.5 s) and key making, five at once on two cores. */
export const COMMAND_MS_MAX = 20_000 * patience

/** From the start of a process until it says it is ready; the longest is the hub opening its store after a crash. */
export const READY_MS_MAX = 20_000 * patience

/** Longest silence while rows are under way: a reconnect's longest backoff with room. */
export const STALL_MS_MAX = 30_000 * patience

/** From the last row landed until every spool is empty. */
export const DRAIN_MS_MAX = 15_000 * patience

/** From SIGTERM until a process is gone; then SIGKILL. */
export const STOP_MS_MAX = 8_000 * patience

/** How long the hub stays dead at most while the demo waits for the agents to notice. */
export const OUTAGE_MS_MAX = 3_000 * patience

/** Shown of a log when something failed. */
export const TAIL_LINES = 15
export const TAIL_BYTES_MAX = 16_384

/** A status report: 6 flows of about 200 bytes, 100 times over. */
export const STATUS_BYTES_MAX = 131_072

/** The owner's limits on memory. */
export const HUB_RSS_BYTES_MAX = 300 * 1024 * 1024
export const AGENT_RSS_BYTES_MAX = 150 * 1024 * 1024

/** Differences shown one by one; the rest is only counted. */
export const SAMPLES_MAX = 5
