/**
 * Owns what a run and its other processes say to one another, by Node's channel between parent and child (`serialization: 'advanced'`, which
 * keeps Infinity and bytes as they are). Each question has a number, and is answered once.
 */

import type { NumberedFault } from '../scenario/befallen.ts'
import type { LocalPartOptions } from './local-part.ts'
import type { Cost } from './own-cost.ts'
import type { PartShare } from './part.ts'

/** What the process needs beside what it finds for itself, as the first one did. */
export interface PartJob extends LocalPartOptions {
  readonly credentialsFile: string | undefined
}

export type Question =
  | { readonly ask: 'prepare'; readonly job: PartJob }
  | { readonly ask: 'connect' }
  | { readonly ask: 'begin'; readonly at: number; readonly startAt: number }
  | { readonly ask: 'publish'; readonly until: number }
  | { readonly ask: 'drain'; readonly ms: number }
  | { readonly ask: 'close' }
  | { readonly ask: 'share' }
  | { readonly ask: 'payload-hashes' }
  | { readonly ask: 'cost' }
  | { readonly ask: 'befall'; readonly device: string; readonly fault: NumberedFault }
  | { readonly ask: 'relieve'; readonly device: string; readonly fault: number }
  | { readonly ask: 'is-online'; readonly device: string }
  /** What goes on is to end, in good order: nobody answers this. */
  | { readonly ask: 'abort' }

export type Asked = Question & { readonly number: number }

export interface Answers {
  readonly prepare: undefined
  readonly connect: undefined
  readonly begin: undefined
  readonly publish: undefined
  readonly drain: undefined
  readonly close: undefined
  readonly share: PartShare
  readonly 'payload-hashes': Readonly<Record<string, string>>
  readonly cost: Cost
  readonly befall: undefined
  readonly relieve: undefined
  readonly 'is-online': boolean | undefined
  readonly abort: undefined
}

export type Answer =
  | { readonly number: number; readonly answer: unknown }
  | { readonly number: number; readonly error: { readonly code: string; readonly message: string } }
