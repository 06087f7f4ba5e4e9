/**
 * Owns what the books say of each device of a run: that they balance, and have as much as was acknowledged. Always true: books only grow, so
 * nothing has to be known of the time before the run, or of others. Bound: the books of `DEVICES_MAX` devices are asked for, one after another.
 */

import type { Books } from './books.ts'
import type { Findings } from './findings.ts'
import type { GatewayApi } from './gateway-api.ts'
import type { Sent } from './sent.ts'

const DEVICES_MAX = 200

/** Of one device, messages. */
interface DeviceLedger {
  readonly accepted: number
  readonly stored: number
  readonly deadLettered: number
  readonly pending: number
  readonly balanced: boolean
}

/** By device, of at most the first `DEVICES_MAX` of the run: undefined if it was not answered. */
export type DeviceLedgers = readonly (DeviceLedger | undefined)[]

export async function readDeviceLedgers(gateway: GatewayApi, { devices }: Sent): Promise<DeviceLedgers> {
  const ledgers: (DeviceLedger | undefined)[] = []
  for (let device = 0; device < Math.min(devices.count, DEVICES_MAX); device++) {
    ledgers.push(await gateway.get<DeviceLedger>('/v1/ledger', { device: devices.text(device) }))
  }
  return ledgers
}

/** Whether devices that are not of the run have sent something, since the log began; undefined if that is not known. */
export function hasOthers(ledgers: DeviceLedgers, { accepted }: Books, { devices }: Sent): boolean | undefined {
  if (ledgers.length < devices.count) return undefined
  return accepted > ledgers.reduce((sum, ledger) => sum + (ledger?.accepted ?? 0), 0)
}

/** Tells of devices whose books cannot be right. Not called where messages are lost or late, which is why these are fewer. */
export function judgeDeviceLedgers(
  ledgers: DeviceLedgers,
  { sent, setAside, findings }: { sent: Sent; setAside: ReadonlySet<number>; findings: Findings },
): void {
  const least = leastOf(sent, setAside)
  for (const [device, ledger] of ledgers.entries()) {
    if (ledger === undefined) continue
    const { accepted, stored, deadLettered, pending, balanced } = ledger
    const counts = `accepted ${accepted}, stored ${stored}, deadLettered ${deadLettered}, pending ${pending}`
    const example = `${sent.devices.text(device)}: ${counts}`
    const of = least[device]
    if (!balanced) {
      const because = 'the ledger of a device says itself that it does not balance'
      findings.add({ code: 'unbalanced', stage: 'books', because, example })
    } else if (of !== undefined && (stored < of.stored || deadLettered < of.deadLettered)) {
      const because = 'the ledger of a device has less than was acknowledged, stored and set aside of it'
      findings.add({ code: 'unbalanced', stage: 'books', because, example })
    }
  }
}

/** By device, messages that must have been stored, and set aside. */
function leastOf(sent: Sent, setAside: ReadonlySet<number>): { stored: number; deadLettered: number }[] {
  const least = Array.from({ length: sent.devices.count }, () => ({ stored: 0, deadLettered: 0 }))
  for (let message = 0; message < sent.messages; message++) {
    const outcome = sent.outcome(message)
    const of = least[sent.device(message)]
    if (of === undefined || !sent.isPromised(message) || sent.isRefused(message)) continue
    if (outcome.startsWith('dead:') || setAside.has(message)) of.deadLettered++
    else of.stored++
  }
  return least
}
