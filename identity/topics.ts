/**
 * Owns the grammar of the platform's topics and filters (docs/contract.md, "MQTT"; MQTT 3.1.1 section 4.7), so that the broker,
 * the gateway, tokens and the simulator read them alike.
 */

import { DEVICE_ID_CHARS_MAX, STREAM_NAME_CHARS_MAX } from '../platform/limits.ts'
import { FRAMING_LEVELS, NOT_TOLD } from '../schemas/content-type.ts'
import type { Selection } from '../schemas/history.ts'

const DEVICE_ID = new RegExp(`^[A-Za-z0-9._:-]{1,${DEVICE_ID_CHARS_MAX}}$`)
const STREAM_NAME = new RegExp(`^[a-z][a-z0-9_]{0,${STREAM_NAME_CHARS_MAX - 1}}$`)

export const isDeviceId = (text: string): boolean => DEVICE_ID.test(text)
export const isStreamName = (text: string): boolean => STREAM_NAME.test(text)

/** The topics of one device that have a meaning here. */
export type DeviceTopic =
  | { readonly kind: 'telemetry'; readonly device: string; readonly stream: string; readonly framing: number }
  | { readonly kind: 'status' | 'errors' | 'commands'; readonly device: string }

export const telemetryTopic = (device: string, stream: string): string => `devices/${device}/telemetry/${stream}`
export const statusTopic = (device: string): string => `devices/${device}/status`
export const errorsTopic = (device: string): string => `devices/${device}/errors`
export const commandsTopic = (device: string): string => `devices/${device}/commands`

/** What `topic` means, or undefined if it is none of the platform's topics. */
export function parseTopic(topic: string): DeviceTopic | undefined {
  const [root, device, kind, stream, framing, ...more] = topic.split('/')
  if (root !== 'devices' || device === undefined || !isDeviceId(device) || more.length > 0) return undefined
  if (kind === 'telemetry') {
    if (stream === undefined || !isStreamName(stream)) return undefined
    const number = framing === undefined ? NOT_TOLD : FRAMING_LEVELS.get(framing)
    return number === undefined ? undefined : { kind, device, stream, framing: number }
  }
  if (stream !== undefined) return undefined
  return kind === 'status' || kind === 'errors' || kind === 'commands' ? { kind, device } : undefined
}

/** A well-formed topic filter (MQTT 3.1.1 section 4.7.1): `#` last and alone in its level, `+` alone in its level. */
export function isTopicFilter(filter: string): boolean {
  if (filter.length === 0 || filter.includes('\0')) return false
  const levels = filter.split('/')
  return levels.every((level, index) => {
    if (level === '#') return index === levels.length - 1
    return level === '+' || !(level.includes('#') || level.includes('+'))
  })
}

/** The filter within a shared one, `$share/{group}/{filter}` (MQTT 5 section 4.8.2); undefined for any other. */
export function sharedFilterOf(filter: string): string | undefined {
  return /^\$share\/[^/+#]+\/(.+)$/s.exec(filter)?.[1]
}

/**
 * The telemetry that a topic filter selects: every filter over `devices/{device}/telemetry/{stream}` comes down to a
 * device or any, and a stream or any. Undefined if the filter is malformed or can match no telemetry topic.
 */
export function selectionOf(filter: string): Selection | undefined {
  if (!isTopicFilter(filter)) return undefined
  const levels = filter.split('/')
  const open = levels.at(-1) === '#'
  if (open) levels.pop()
  if (levels.length > 4 || (levels.length < 4 && !open)) return undefined
  const [root = '+', device = '+', kind = '+', stream = '+'] = levels
  if ((root !== '+' && root !== 'devices') || (kind !== '+' && kind !== 'telemetry')) return undefined
  if (device !== '+' && !isDeviceId(device)) return undefined
  if (stream !== '+' && !isStreamName(stream)) return undefined
  return { ...(device !== '+' && { device }), ...(stream !== '+' && { stream }) }
}

/** Whether a topic filter can match any topic of telemetry, also one whose last level says how its payloads are framed. */
export function selectsTelemetry(filter: string): boolean {
  if (selectionOf(filter) !== undefined) return true
  const levels = filter.replace(/\/#$/, '').split('/')
  const framing = levels.length === 5 ? levels.pop() : undefined
  return (
    framing !== undefined &&
    (framing === '+' || FRAMING_LEVELS.has(framing)) &&
    selectionOf(levels.join('/')) !== undefined
  )
}

/** Whether a well-formed topic filter can match any of the platform's topics. */
export function selectsTopics(filter: string): boolean {
  // A filter whose `#` stands before the third level matches telemetry too.
  const [root, device = '', kind = '', ...more] = filter.replace(/\/#$/, '').split('/')
  const isOfDevice =
    (root === 'devices' || root === '+') &&
    (device === '+' || isDeviceId(device)) &&
    (kind === 'status' || kind === 'errors' || kind === 'commands' || kind === '+') &&
    more.length === 0
  return isOfDevice || selectsTelemetry(filter)
}

/** Whether a well-formed topic filter can match topics beside those of the platform: they have a meaning to MQTT subscribers only. */
export const selectsForeignTopics = (filter: string): boolean =>
  !filter.startsWith('$') && !/^devices(\/|$)/.test(filter)

/** Every reading that `inner` selects is selected by `outer`. */
export function selectionCovers(outer: Selection, inner: Selection): boolean {
  return (
    (outer.device === undefined || outer.device === inner.device) &&
    (outer.stream === undefined || outer.stream === inner.stream)
  )
}

/**
 * Every topic that `inner` matches is matched by `outer` (both well-formed filters). Without making a string: this is asked
 * for each message of each subscriber.
 */
export function filterCovers(outer: string, inner: string): boolean {
  for (let a = 0, b = 0; ; ) {
    if (a > outer.length) return b > inner.length
    const aEnd = levelEnd(outer, a)
    const isSingle = aEnd === a + 1
    if (isSingle && outer[a] === '#') return true
    // `a/#` also matches `a` itself (section 4.7.1.2), so `a` alone is covered by it.
    if (b > inner.length) return false
    const bEnd = levelEnd(inner, b)
    if (bEnd === b + 1 && inner[b] === '#') return false
    if (!(isSingle && outer[a] === '+')) {
      if (aEnd - a !== bEnd - b) return false
      for (let at = 0; a + at < aEnd; at++) if (outer.charCodeAt(a + at) !== inner.charCodeAt(b + at)) return false
    }
    a = aEnd + 1
    b = bEnd + 1
  }
}

function levelEnd(filter: string, from: number): number {
  const end = filter.indexOf('/', from)
  return end < 0 ? filter.length : end
}
