/**
 * Owns what is wrong, put together: one finding for each code, stage and reason. Always true: a count is of all, examples are of the first.
 * Bound: `EXAMPLES_MAX` examples each.
 */

import type { Finding, FindingCode, Stage } from '../report/summary.ts'

const EXAMPLES_MAX = 5

/** What each is, after its number: of one and of several. */
const WORDS: Record<FindingCode, readonly [string, string]> = {
  lost: ['message was acknowledged and is lost', 'messages were acknowledged and are lost'],
  duplicated: ['reading is there more than once', 'readings are there more than once'],
  altered: ['has other values than were sent', 'have other values than were sent'],
  invented: ['is there and was never sent', 'are there and were never sent'],
  late: ['came late', 'came late'],
  'out-of-order': ['is not where its order would have it', 'are not where their order would have them'],
  'set-aside': ['good message was set aside', 'good messages were set aside'],
  'not-set-aside': ['bad message was not set aside', 'bad messages were not set aside'],
  'wrong-code': ['message was set aside with another code', 'messages were set aside with another code'],
  'accepted-though-forbidden': [
    'message was taken though it is forbidden',
    'messages were taken though they are forbidden',
  ],
  'live-lost': ['reading never came live', 'readings never came live'],
  'live-duplicated': ['reading came live more than once', 'readings came live more than once'],
  'live-altered': ['reading came live with other values', 'readings came live with other values'],
  'live-late': ['reading came live late', 'readings came live late'],
  unbalanced: ['of the books is not what it should be', 'of the books are not what they should be'],
}

interface Found {
  readonly code: FindingCode
  readonly stage: Stage
  /** What shows that it is this stage; a sentence without its full stop. */
  readonly because: string
  readonly count?: number
  readonly example?: string | undefined
}

export class Findings {
  readonly #found = new Map<
    string,
    { code: FindingCode; stage: Stage; because: string; count: number; examples: string[] }
  >()

  add({ code, stage, because, count = 1, example }: Found): void {
    const key = `${code} ${stage} ${because}`
    let known = this.#found.get(key)
    if (known === undefined) {
      known = { code, stage, because, count: 0, examples: [] }
      this.#found.set(key, known)
    }
    known.count += count
    if (example !== undefined && known.examples.length < EXAMPLES_MAX) known.examples.push(example)
  }

  count(...codes: readonly FindingCode[]): number {
    return this.all().reduce((sum, { code, count }) => sum + (codes.includes(code) ? count : 0), 0)
  }

  all(): Finding[] {
    return [...this.#found.values()].map(({ code, stage, because, count, examples }) => {
      const [one, several] = WORDS[code]
      return { code, stage, count, sentence: `${count} ${count === 1 ? one : several}: ${because}`, examples }
    })
  }
}
