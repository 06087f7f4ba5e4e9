/**
 * Owns what is asked of a platform that is tried: a fleet that sends every stream that is shipped, in several formats, alone and in batches, at
 * both levels of MQTT, with faults that make dead letters and what is to be refused. Small, so that two runs at once leave the machine room.
 */

/** A platform that was killed at the end has to come back, on a machine that is busy with others. */
const DRAIN_SECONDS = 45

export function scenarioOf(seconds: number, drainSeconds = DRAIN_SECONDS): string {
  const always = `at: 1s, for: ${seconds}s`
  return `name: a tried build
seed: 7
duration: ${seconds}s
drain: ${drainSeconds}s
fleet:
  - prefix: truck-
    devices: 6
    sends:
      - { stream: vehicle, every: 200ms, versions: [1, 2] }
      - { stream: environment, every: 1s, format: json, batch: 3 }
  - prefix: meter-
    devices: 6
    mqtt: 5
    sends:
      - { stream: power, every: 250ms }
      - { stream: environment, every: 1s, format: cbor }
  - prefix: press-
    devices: 4
    sends:
      - { stream: vibration, every: 500ms, format: msgpack }
      - { stream: power, every: 500ms, batch: 4, qos: 2 }
      - { stream: environment, every: 1s, format: confluent }
faults:
  - { kind: truncated, ${always}, devices: truck-1, share: 20% }
  - { kind: unknown-schema, ${always}, devices: truck-2, share: 20% }
  - { kind: truncated, ${always}, devices: press-2, share: 20% }
  - { kind: hostile, ${always}, devices: meter-1, share: 20% }
  - { kind: hostile, ${always}, devices: truck-5, share: 20% }
  - { kind: hostile, ${always}, devices: press-3, share: 20% }
  - { kind: spikes, ${always}, devices: meter-3, share: 20% }
  - { kind: reordering, ${always}, devices: meter-4, share: 20% }
  - { kind: clock-offset, ${always}, devices: meter-5, by: -1h }
  - { kind: clock-offset, ${always}, devices: truck-6, by: 3h }
  - { kind: forbidden-topic, ${always}, devices: press-1, share: 20% }
  - { kind: duplicates, ${always}, devices: truck-3, share: 20% }
  - { kind: repeated-times, ${always}, devices: meter-2, share: 20% }
  - { kind: link-loss, at: 3s, for: 2s, devices: truck-4 }
fail-if: [late>0, live-late>0]
`
}
