/** Owns reading a binary frame of `telltale.v1.protobuf` by `docs/protobuf/telltale/live.proto` alone, as an app would. */

import protobuf from 'protobufjs'

const { root } = await load()
const Readings = root.lookupType('telltale.live.Readings')

async function load() {
  const file = new URL('../../docs/protobuf/telltale/live.proto', import.meta.url).pathname
  return { root: await new protobuf.Root().load(file, { keepCase: true }) }
}

/** Its first field; a frame of undecoded messages begins with 1. */
export const isProtobuf = (bytes: Buffer): boolean => bytes[0] === 0x0a

interface Sent {
  readonly device: string
  readonly stream: string
  readonly ts: number
  readonly received?: number
  readonly values: Readonly<
    Record<string, { readonly kind: 'number' | 'boolean' | 'text' | 'numbers' } & Record<string, unknown>>
  >
}

/** As JSON would have it. */
export function readReadings(bytes: Buffer) {
  const options = { longs: Number, arrays: true, defaults: true, oneofs: true }
  const frame = Readings.toObject(Readings.decode(bytes), options)
  const readings = (frame.readings as Sent[]).map(({ device, stream, ts, received, values }) => {
    const named = Object.entries(values ?? {}).map(([name, value]) => {
      const of = value[value.kind]
      return [name, value.kind === 'numbers' ? (of as { numbers: number[] }).numbers : of]
    })
    return { device, stream, ts, ...(received !== undefined && { received }), values: Object.fromEntries(named) }
  })
  const { subscription, cursor, merged, by_time: byTime } = frame
  return { subscription, cursor, readings, merged, byTime } as {
    subscription: string
    cursor: string
    readings: object[]
    merged: number
    byTime: boolean
  }
}
