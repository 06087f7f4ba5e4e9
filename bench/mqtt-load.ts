/**
 * Owns a load generator of the `mqtt` package alone, which is what the simulator sends by: clients publish one payload again and again. What the simulator
 * takes beside it is its own. Options come by the environment, as to `paho-load`; it prints one line of JSON when all is acknowledged.
 */

import { randomBytes } from 'node:crypto'
import { connectAsync, type MqttClient } from 'mqtt'

const number = (name: string) => Number(process.env[name])
const [port, clients, messages, window, bytes] = ['PORT', 'CLIENTS', 'MESSAGES', 'WINDOW', 'BYTES'].map(number) as [
  number,
  number,
  number,
  number,
  number,
]

function publish(client: MqttClient, topic: string, payload: Buffer, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let [sent, acknowledged] = [0, 0]
    const next = () => {
      if (sent === count) return
      sent++
      client.publish(topic, payload, { qos: 1 }, (error) => {
        if (error) reject(error)
        else if (++acknowledged === count) resolve()
        else next()
      })
    }
    for (let index = 0; index < window; index++) next()
  })
}

const connected: MqttClient[] = []
for (let index = 1; index <= clients; index++)
  connected.push(await connectAsync({ host: '127.0.0.1', port, clientId: `sim-${index}`, log: () => {} }))
const payload = randomBytes(bytes)
const each = Math.floor(messages / clients)
const began = performance.now()
await Promise.all(
  connected.map((client, index) => publish(client, `devices/sim-${index + 1}/telemetry/environment`, payload, each)),
)
const elapsedMs = performance.now() - began
const { user, system } = process.cpuUsage()
console.log(JSON.stringify({ messages: each * clients, elapsedMs, cpuMs: (user + system) / 1000 }))
for (const client of connected) client.end(true)
