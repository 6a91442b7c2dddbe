// Bounds of uploads, with their arithmetic.

const KIB = 1024
const MIB = 1024 * KIB

/**
 * Memory for chunks of all uploads together: the 15 MiB a hub lets be under way, and as much again that is hashed ahead. Each
 * upload may have one chunk (8 MiB at most) beyond it, so that none stands still because of others: 40 MiB for a single one.
 */
export const MEMORY_BYTES_MAX = 32 * MIB

/** Parts of that memory, by priority (normal, urgent, bulk): what is urgent must find the hub's window full whatever else is sent. */
export const MEMORY_PARTS: readonly number[] = [4, 16, 1]

/** Content given to the reading thread at a time: it must not wait for us, nor urgent reads behind it for long (2 ms). */
export const AT_THREAD_BYTES = 2 * MIB
export const AT_THREAD_CHUNKS_MAX = 16
/** And what is read again because the hub wants it and it is not in memory any more. */
export const READ_AHEAD_BYTES = 4 * MIB
export const READ_AHEAD_CHUNKS_MAX = 16

/** Cutting by content is not worth it below; up to the other it makes no more chunks than cutting all to one size, of 64 KiB. */
export const CUT_BYTES_MIN = MIB
export const CUT_ALWAYS_BYTES_MAX = 128 * MIB
/** Names of which is known how their files were cut: some 100 bytes each. Of smaller files the same comes out each time. */
export const EARLIER_CUTS_MAX = 1000
export const EARLIER_CUT_BYTES_MIN = 32 * MIB

/** Cut by content, a file is read in such steps: what is behind a cut is copied once. */
export const READ_STEP_BYTES = 256 * KIB

/** A chunk is sent encoded when that saves a tenth: less is not worth the receivers' time. Shorter ones are not worth trying. */
export const ENCODED_SHARE_MAX = 0.9
export const ENCODE_BYTES_MIN = 1024
/** Of what does not compress so much is passed over between two tries, of 32 KiB each. */
export const PASS_BYTES_MAX = 16 * MIB
export const SAMPLE_SLICES = 4
export const SAMPLE_SLICE_BYTES_MAX = 8 * KIB

/** Of zstd: 300 MB/s of text, 100, 30, 2 to 10. Those between gain no more than these. */
export const COMPRESSION_LEVELS = [1, 6, 12, 19] as const
/** Another way is taken when it needs less than this part of the time: what is measured is not that exact. */
export const COMPRESSION_GAIN_MIN = 0.9
/** From one level to another: what is left of the content is the same each time. */
export const LEVEL_GAIN_MIN = 0.97
/** The reading thread serves others, too: none waits longer for the encoding of a chunk. */
export const ENCODE_MS_MAX = 250
/** The line is measured over windows of so long at least. */
export const LINE_WINDOW_MS = 50
/** What is measured counts for half after 0.7 s of newer measurements. */
export const LINE_MEMORY_MS = 1000
/** Content that may wait to be sent, of which a line takes this or less in many seconds; four chunks in any case. */
export const AHEAD_BYTES_MIN = 4 * MIB
export const AHEAD_SECONDS = 8
export const AHEAD_CHUNKS_MIN = 4

/** So long a line may be idle because of the encoding before what it takes is looked at; longer each time it did not gain. */
export const PATIENCE_MS_FIRST = 100
export const PATIENCE_MS_MAX = 30_000
/** Content under way as it is to see that, or two chunks: enough for 400 MB/s when the hub has it in 10 ms. And how long at most. */
export const PROBE_BYTES_MAX = 4 * MIB
export const PROBE_SECONDS = 0.5
export const PROBE_MS_MAX = 2000
/** What takes so much longer than the shortest time there was waits in a buffer somewhere: the line is busy. */
export const QUEUED_LATENCY_FACTOR = 3
export const QUEUED_LATENCY_MS = 20
/** Between tries of a level that turned out not to gain. */
export const TRIAL_BYTES_FIRST = 16 * MIB
export const TRIAL_BYTES_MAX = 1024 * MIB

/** Between reports of progress: four a second. */
export const PROGRESS_MS = 250

/** Waiting for a hub that has no room. */
export const REFUSED_MS_FIRST = 1000
export const REFUSED_MS_MAX = 30_000

/** A file that changes while it is sent is begun again so often, later each time: 0.25 to 4 s, 8 s in all. */
export const RESTARTS_MAX = 5
export const RESTART_MS_FIRST = 250

/** A longer timer of the runtime fires at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1

/** What the journal holds back before it writes; a lost record costs the hash of one chunk. */
export const JOURNAL_WRITE_MS = 20
export const JOURNAL_SYNC_MS = 1000
