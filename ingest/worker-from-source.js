/** A worker thread of the sources, as tests run them, begins here: on Node 20 it does not inherit their loader. */

import { register } from 'tsx/esm/api'

register()
await import('./worker-start.ts')
