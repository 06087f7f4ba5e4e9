/**
 * Owns the devices as the gateway lists them, all of them, asked again every few seconds while somebody looks.
 *
 * Bound: `DEVICES_MAX` devices; of more the page says that they are not all.
 */

import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { DeviceListing, DevicesPage } from '../answers.ts'
import { AnswerError, ask } from '../gateway.ts'
import { token } from '../token.ts'

export const DEVICES_MAX = 50_000
const PAGE_DEVICES = 10_000
const EVERY_MS = 5_000

interface Fleet {
  readonly devices: readonly DeviceListing[]
  /** There are more than the page takes. */
  readonly isCut: boolean
}

/** Undefined until it is known. */
export const fleet = signal<Fleet | undefined>(undefined)

/** While a view is shown that needs it. */
export function useFleet(): void {
  const given = token.value
  useEffect(() => {
    const left = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const once = async () => {
      clearTimeout(timer)
      try {
        if (!document.hidden) fleet.value = await read(left.signal)
      } catch (error) {
        if (left.signal.aborted) return
        if (!(error instanceof AnswerError)) throw error
      }
      if (!left.signal.aborted) timer = setTimeout(once, EVERY_MS)
    }
    const shown = () => {
      if (!document.hidden) once()
    }
    document.addEventListener('visibilitychange', shown)
    once()
    return () => {
      left.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', shown)
    }
  }, [given])
}

async function read(signal: AbortSignal): Promise<Fleet> {
  const devices: DeviceListing[] = []
  let after = ''
  do {
    const page = await ask<DevicesPage>(
      `v1/devices?last=false&limit=${PAGE_DEVICES}${after && `&after=${encodeURIComponent(after)}`}`,
      { signal },
    )
    devices.push(...page.devices)
    after = page.next ?? ''
  } while (after !== '' && devices.length < DEVICES_MAX)
  return { devices, isCut: after !== '' }
}
