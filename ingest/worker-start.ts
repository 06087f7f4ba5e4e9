/**
 * The first file of a worker thread: what must hold before anything else is loaded.
 *
 * On Linux a priority is a thread's own, and the threads it starts inherit it: decoding and the embedded store give way
 * to the main thread, so that acknowledgements and live readings do not wait behind them when the cores are busy
 * (`npm run bench -- --only live` on two cores: p99 47 ms without, 31 ms with it).
 */

import { setPriority } from 'node:os'

const BELOW_NORMAL = 10

setPriority(BELOW_NORMAL)
// A thread does not inherit that from `cli/telltale.js`.
process.setSourceMapsEnabled(true)
await import('./worker.ts')
