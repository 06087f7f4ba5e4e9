/**
 * Owns the last values of the devices that are in sight: subscribed to while they are, and no others, so that a fleet of thousands costs the
 * page no more than one of ten.
 *
 * Bound: `DEVICES_MAX` devices, in subscriptions of `FILTERS_MAX` filters; a reading a second of each series.
 */

import { batch, type Signal, signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { type Reading, TelltaleError } from '../../client/client.ts'
import { live } from '../gateway.ts'

const DEVICES_MAX = 60
/** Of one subscription (docs/contract.md). */
const FILTERS_MAX = 20
/** Rows that pass by are not asked for. */
const SETTLED_MS = 300

/** By stream. */
export type Values = ReadonlyMap<string, Reading>

const kept = new Map<string, Signal<Values>>()

export function valuesOf(device: string): Signal<Values> {
  let values = kept.get(device)
  if (values === undefined) {
    values = signal<Values>(new Map())
    kept.set(device, values)
  }
  return values
}

/** While they are in sight. */
export function useLiveValues(devices: readonly string[]): void {
  const sdk = live.value
  const wanted = devices.slice(0, DEVICES_MAX).join(' ')
  useEffect(() => {
    if (wanted === '') return
    const left = new AbortController()
    const timer = setTimeout(() => {
      const names = wanted.split(' ')
      for (const device of kept.keys()) if (!names.includes(device)) kept.delete(device)
      for (let from = 0; from < names.length; from += FILTERS_MAX) {
        follow(sdk, names.slice(from, from + FILTERS_MAX), left.signal)
      }
    }, SETTLED_MS)
    return () => {
      clearTimeout(timer)
      left.abort()
    }
  }, [sdk, wanted])
}

async function follow(sdk: typeof live.value, devices: readonly string[], signal: AbortSignal): Promise<void> {
  const filters = devices.map((device) => `devices/${device}/telemetry/#`)
  try {
    for await (const { readings } of sdk.subscribe(filters, { start: 'latest', maxRate: 1, signal }).batches()) {
      batch(() => {
        for (const reading of readings) take(reading)
      })
    }
  } catch (error) {
    // What the gateway refuses, such as a token, the page says where it asks by HTTP.
    if (!signal.aborted && !(error instanceof TelltaleError)) throw error
  }
}

function take(reading: Reading): void {
  const values = valuesOf(reading.device)
  values.value = new Map(values.value).set(reading.stream, reading)
}
