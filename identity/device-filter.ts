/**
 * Owns filters of devices, as people write them beside topic filters: `devices/truck-7`, `devices/truck-+` for all whose ids begin so,
 * `devices/+` for all. In tokens and keys the same is a pattern, `truck-*` (`scope.ts`).
 */

import { isDevicePattern } from './scope.ts'

const FORM = /^devices\/([^/+*#]*)(\+?)$/

/** The pattern that a filter of devices means; undefined if it is none. */
export function devicePatternOf(filter: string): string | undefined {
  const [, id = '', any = ''] = FORM.exec(filter) ?? []
  const pattern = `${id}${any === '' ? '' : '*'}`
  return isDevicePattern(pattern) ? pattern : undefined
}
