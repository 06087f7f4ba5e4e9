/**
 * Owns the measure of decoding: what one reading costs from payload to `Reading`, alone and in batches.
 * Run by `node --import tsx bench/schemas.ts [milliseconds a case]`.
 */

import { Decoder } from '../schemas/decoder.ts'
import { Rejection } from '../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'

const CASE_MS = Number(process.argv[2] ?? 1000)
const CALLS = 1_000
const RECEIVED_AT = Date.UTC(2025, 10, 23)

const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
const decoder = new Decoder(registry)

const phase = (voltage: number) => ({
  voltage,
  current: 8.2,
  active_power: 1890,
  reactive_power: 12.5,
  power_factor: 0.98,
})
const RECORDS: Record<string, object> = {
  environment: { ts: RECEIVED_AT, temperature: 21.3, humidity: 45.5, pressure: 1013.25, battery: 88, rssi: -70 },
  vehicle: {
    ts: RECEIVED_AT,
    fleet: 'south',
    driver: 'trish',
    latitude: 52.31854,
    longitude: 4.72037,
    elevation: 124.5,
    velocity: 23.7,
    heading: 221.3,
    grade: 1.5,
    fuel_consumption: 25.4,
  },
  power: {
    ts: RECEIVED_AT,
    circuit: 'main',
    frequency: 50.01,
    l1: phase(230.1),
    l2: phase(229.7),
    l3: phase(231.2),
    energy_import: 81234.567,
    energy_export: 12.5,
  },
  vibration: {
    ts: RECEIVED_AT * 1000,
    sensor: 'bearing-1',
    axis: 'x',
    acceleration_rms: 0.52,
    acceleration_peak: 3.17,
    velocity_rms: 1.83,
    dominant_frequency: 49.8,
    temperature: null,
  },
}

function measure(name: string, stream: string, payload: Buffer, readings: number): void {
  const message = { device: 'bench-1', stream, receivedAt: RECEIVED_AT, payload }
  let best = Number.POSITIVE_INFINITY
  const until = performance.now() + CASE_MS
  while (performance.now() < until) {
    const start = performance.now()
    for (let call = 0; call < CALLS; call++) {
      const decoded = decoder.decode(message)
      if (decoded instanceof Rejection) throw new Error(`${decoded.code}: ${decoded.reason}`)
    }
    best = Math.min(best, (performance.now() - start) / CALLS / readings)
  }
  console.log(`${name.padEnd(28)} ${(1e-3 / best).toFixed(2)} M/s  ${(best * 1000).toFixed(3)} us a reading`)
}

for (const [stream, record] of Object.entries(RECORDS)) measure(stream, stream, registry.encode(stream, record), 1)
const hundred = Array.from({ length: 100 }, () => RECORDS.environment ?? {})
measure('environment, batch of 100', 'environment', registry.encode('environment', hundred), 100)
measure('vehicle 1 read as 2', 'vehicle', registry.encode('vehicle', RECORDS.vehicle ?? {}, 1), 1)
const json = Buffer.from(JSON.stringify(RECORDS.environment))
measure('environment, JSON', 'environment', json, 1)
measure('environment, once more', 'environment', registry.encode('environment', RECORDS.environment ?? {}), 1)
