/**
 * Owns what a status says of a device that is connected to another broker: that it is online, if it is JSON with `"online": true`, which
 * is what such devices publish, retained, and leave as their will. Nobody tells more of a connection that is not ours.
 *
 * Always true: what it says is kept as it came; an empty one takes it away (MQTT 3.1.1 section 3.3.1.3).
 */

import type { DevicePresence } from '../log/presence.ts'

/** Of a longer one nothing is read. */
const STATUS_BYTES_READ_MAX = 4_096

export function presenceBy(
  status: Buffer,
  known: DevicePresence | undefined,
  now: number,
): Omit<DevicePresence, 'device'> {
  const online = saysOnline(status)
  const since = known?.online === online ? known.since : now
  return { online, since, ...(status.length > 0 && { status }) }
}

function saysOnline(status: Buffer): boolean {
  if (status.length === 0 || status.length > STATUS_BYTES_READ_MAX) return false
  try {
    const said = JSON.parse(status.toString('utf8')) as { online?: unknown } | null
    return said?.online === true
  } catch {
    return false
  }
}
