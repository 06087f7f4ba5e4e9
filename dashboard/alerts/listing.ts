/**
 * Owns what the gateway says of alerts, asked again every few seconds whatever view is shown, for how many are firing stands in all of them.
 *
 * Bound: `ALERTS_MAX` alerts while they are looked at, and `COUNTED_MAX` while they are only counted.
 */

import { computed, signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { AlertsPage } from '../answers.ts'
import { useAnswer } from '../gateway.ts'
import { token } from '../token.ts'

export const ALERTS_MAX = 1_000
/** One more is `99+`. */
const COUNTED_MAX = 100
const EVERY_MS = 5_000

const listed = signal<{ readonly token: string; readonly page: AlertsPage } | undefined>(undefined)

/** Undefined until it is known to who holds this token. */
export const alerts = computed(() => (listed.value?.token === token.value ? listed.value.page : undefined))

/** Why the gateway did not say it; undefined while it does. */
export const alertsError = signal<string | undefined>(undefined)

/** Of the whole page, once. */
export function useAlerts(areShown: boolean): void {
  const { value, error } = useAnswer<AlertsPage>(`v1/alerts?limit=${areShown ? ALERTS_MAX : COUNTED_MAX}`, EVERY_MS)
  useEffect(() => {
    if (value !== undefined) listed.value = { token: token.value, page: value }
  }, [value])
  useEffect(() => {
    alertsError.value = error?.message
  }, [error])
}

/** How many are firing, in short and in words; undefined if none is. */
export const firingCount = computed(() => {
  const firing = (alerts.value?.alerts ?? []).filter(({ state }) => state === 'firing').length
  if (firing === 0) return undefined
  const shown = firing < COUNTED_MAX ? String(firing) : `${COUNTED_MAX - 1}+`
  return { shown, said: `${shown} firing` }
})
