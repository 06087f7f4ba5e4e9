/** Owns an edge node of Sparkplug, on a client of its own: what it publishes, by hand, and what it is told. */

import type { TestContext } from 'node:test'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { type MetricSaid, read, type Said, TYPE, write } from '../maps/sparkplug/edge.ts'
import type { RunningPlatform } from './platform.ts'

export interface Told {
  readonly topic: string
  readonly payload: Buffer
}

export class EdgeNode {
  readonly client: MqttClient
  readonly group: string
  readonly node: string
  readonly told: Told[]
  seq = 0

  private constructor(client: MqttClient, group: string, node: string, told: Told[]) {
    this.client = client
    this.group = group
    this.node = node
    this.told = told
  }

  static async connect(
    t: TestContext,
    platform: RunningPlatform,
    { group = 'plant', node = 'line4', bdSeq = 0, options = {} as IClientOptions } = {},
  ): Promise<EdgeNode> {
    const id = `${group}:${node}`
    const will = {
      topic: `spBv1.0/${group}/NDEATH/${node}`,
      payload: write({ metrics: [bdSeqMetric(bdSeq)] }),
      qos: 1 as const,
      retain: false,
    }
    const password = await platform.deviceToken(id)
    const client = await connectAsync({
      port: platform.mqttPort,
      clientId: id,
      username: id,
      password,
      reconnectPeriod: 0,
      will,
      ...options,
    })
    t.after(() => client.end(true))
    client.on('error', () => undefined)
    const told: Told[] = []
    client.on('message', (topic, payload) => told.push({ topic, payload }))
    await client.subscribeAsync(
      [`spBv1.0/${group}/NCMD/${node}`, `spBv1.0/${group}/DCMD/${node}/#`, 'spBv1.0/STATE/+', `devices/${id}/errors`],
      { qos: 1 },
    )
    return new EdgeNode(client, group, node, told)
  }

  /** QoS 1, so that it is known to be on disk. */
  async publish(type: string, said: Said | Buffer, device?: string): Promise<void> {
    const topic = `spBv1.0/${this.group}/${type}/${this.node}${device === undefined ? '' : `/${device}`}`
    await this.client.publishAsync(topic, Buffer.isBuffer(said) ? said : write(said), { qos: 1 })
  }

  /** With the next number. */
  async say(type: string, timestamp: number, metrics: readonly MetricSaid[], device?: string): Promise<void> {
    await this.publish(type, { timestamp, metrics, seq: this.seq }, device)
    this.seq = (this.seq + 1) % 256
  }

  async birth(timestamp: number, bdSeq: number, metrics: readonly MetricSaid[] = []): Promise<void> {
    this.seq = 0
    const control = { name: 'Node Control/Rebirth', datatype: TYPE.Boolean, boolean_value: false }
    await this.say('NBIRTH', timestamp, [bdSeqMetric(bdSeq), control, ...metrics])
  }

  /** How often it was asked to be born again. */
  get rebirths(): number {
    return this.told.filter(({ topic, payload }) => {
      const [metric] = topic.includes('/NCMD/') ? (read(payload).metrics ?? []) : []
      return (
        metric?.name === 'Node Control/Rebirth' && metric.boolean_value === true && metric.datatype === TYPE.Boolean
      )
    }).length
  }

  get errors(): readonly { readonly code: string; readonly message: string; readonly device?: string }[] {
    return this.told.filter(({ topic }) => topic.endsWith('/errors')).map(({ payload }) => JSON.parse(String(payload)))
  }
}

export const bdSeqMetric = (bdSeq: number): MetricSaid => ({ name: 'bdSeq', datatype: TYPE.Int64, long_value: bdSeq })
