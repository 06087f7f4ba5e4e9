import type { Feed } from '../../../gateway/live/feed.ts'

/** Of a group whose frames are of no interest. */
export const NO_FEED: Feed = {
  pendingSince: undefined,
  take: () => true,
  flush() {},
  tick() {},
  finish() {},
  drop() {},
}
