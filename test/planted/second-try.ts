/**
 * Owns when a trial is not taken at its word: one that found nothing wrong but that something took long is tried once more, and the second
 * counts, for a busy machine is no mistake of a build's. Always true: whoever asked is told of it before the second begins.
 */

import type { Finding } from '../../devices/simulator/report/summary.ts'
import { type Outcome, type TrialOptions, tryBuild } from './trial.ts'

/** Told how the first trial ended. */
export type OnSlow = (outcome: Outcome) => void

const LATE: ReadonlySet<string> = new Set(['late', 'live-late'])

/** Whether it says no more than that something took long. */
export const isOfTime = ({ code }: Finding): boolean => LATE.has(code)

/** Whether nothing is wrong but that it took long. */
function isOfTimeAlone({ end, findings }: Outcome): boolean {
  if (end === 'found') return findings.length > 0 && findings.every(isOfTime)
  return end === 'too-slow'
}

/** `slow` is the first trial, if there was a second. One that is `wanted` is taken as it is. */
export async function tryUnlessSlow(
  trial: TrialOptions,
  onSlow?: OnSlow,
  isWanted: (outcome: Outcome) => boolean = () => false,
): Promise<{ readonly outcome: Outcome; readonly slow?: Outcome }> {
  const outcome = await tryBuild(trial)
  if (!isOfTimeAlone(outcome) || isWanted(outcome)) return { outcome }
  onSlow?.(outcome)
  return { outcome: await tryBuild(trial), slow: outcome }
}

/** How a trial ended, in a few words and in a sentence. */
export function reasonOf({ end, findings, said }: Outcome): { readonly by: string; readonly sentence: string } {
  const kinds = new Set(findings.map(({ code, stage }: Finding) => `${code} at ${stage}`))
  if (kinds.size === 0) return { by: end, sentence: said.trim().split('\n').at(-1) ?? '' }
  return { by: [...kinds].join(', '), sentence: findings[0]?.sentence ?? '' }
}
