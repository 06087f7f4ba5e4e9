/**
 * Owns how the platform is, as the gateway says it: asked again and again whatever view is shown, for it stands beside the view's name when
 * it is not well; and how much came in the last minutes.
 *
 * Bound: `SAMPLES_MAX` samples, no older than `KEPT_MS`.
 */

import { computed, signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { PlatformHealth, Rates } from '../answers.ts'
import { trouble, useAnswer } from '../gateway.ts'
import { token } from '../token.ts'
import { findingsOf } from './findings.ts'

const LOOKED_AT_EVERY_MS = 2_000
const OTHERWISE_EVERY_MS = 10_000
/** How far back the plots go. */
export const KEPT_MS = 300_000
const SAMPLES_MAX = KEPT_MS / LOOKED_AT_EVERY_MS

export interface Sample extends Rates {
  readonly at: number
}

const last = signal<{ readonly token: string; readonly health: PlatformHealth } | undefined>(undefined)

/** Undefined until it is known to who holds this token. */
export const health = computed(() => (last.value?.token === token.value ? last.value.health : undefined))

/** Why the gateway did not say it; undefined while it does. */
export const healthError = signal<string | undefined>(undefined)

/** Oldest first. */
export const samples = signal<readonly Sample[]>([])

/** Of the whole page, once. */
export function useHealth(isShown: boolean): void {
  const { value, error } = useAnswer<PlatformHealth>('v1/platform', isShown ? LOOKED_AT_EVERY_MS : OTHERWISE_EVERY_MS)
  useEffect(() => {
    if (value === undefined) return
    last.value = { token: token.value, health: value }
    const { at, rates } = value
    if (rates === undefined) return
    const earlier = samples.peek().filter((sample) => sample.at < at && sample.at > at - KEPT_MS)
    samples.value = [...earlier, { at, ...rates }].slice(-SAMPLES_MAX)
  }, [value])
  useEffect(() => {
    healthError.value = error?.message
  }, [error])
}

/** Beside the view's name; undefined while all is well. */
export const unwellMark = computed(() => {
  if (trouble.value !== undefined) return { shown: '!', said: 'the gateway does not answer' }
  const isUnwell = health.value !== undefined && findingsOf(health.value).length > 0
  return isUnwell ? { shown: '!', said: 'not well' } : undefined
})
