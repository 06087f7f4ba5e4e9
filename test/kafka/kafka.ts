/**
 * Runs a real Kafka 4.1 of one node, or of three that keep each record on all of them, on loopback ports and in directories of its own:
 * each node is a process, broker and controller in one, that can be killed, stopped and started again on its directory.
 *
 * Always true: it is started when every node has answered who the others are. A node takes about 300 MB.
 */

import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KafkaClient } from '../../log/kafka/client.ts'
import { freePort, run, type TestServer } from '../servers/server.ts'
import { kafkaProgram } from './kafka-program.ts'

const CLUSTER_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
const HOST = '127.0.0.1'
const MEMORY = ['-Xms64m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']
const LOGIN = 'org.apache.kafka.common.security'
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'

export interface KafkaOptions {
  /** 1 unless given. */
  readonly nodes?: 1 | 3
  /** Of each node, the port that clients are told to use instead of its `outside`: of a proxy before it. */
  readonly advertised?: readonly number[]
  /** Listens with TLS and with SASL, too; files in PEM. `cert` and `key` are localhost's, and `ca` signs those who connect with a certificate. */
  readonly secured?: { readonly cert: string; readonly key: string; readonly ca: string }
}

export interface Kafka extends TestServer {
  readonly nodes: readonly KafkaNode[]
  /** Of all nodes, as an address of a log has them. */
  readonly brokers: string
}

/** Who may come by SASL. */
export const KAFKA_USER = { user: 'telltale', password: 'kafka-secret' } as const

interface Ports {
  readonly plain: number
  readonly controller: number
  /** As `plain`, for clients that are sent through a proxy. */
  readonly outside: number
  readonly sasl: number
  readonly tls: number
  readonly saslTls: number
}

export async function startKafka({ nodes: count = 1, ...options }: KafkaOptions = {}): Promise<Kafka> {
  const program = kafkaProgram()
  const directory = await mkdtemp(join(tmpdir(), 'telltale-kafka-'))
  const ports: Ports[] = []
  for (let id = 0; id < count; id++) {
    const [plain, controller, outside] = [await freePort(), await freePort(), await freePort()]
    const [sasl, tls, saslTls] = [await freePort(), await freePort(), await freePort()]
    ports.push({ plain, controller, outside, sasl, tls, saslTls })
  }
  const nodes = ports.map((_, index) => new KafkaNode(program, join(directory, `${index + 1}`), index, ports, options))
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= Promise.all(nodes.map((node) => node.kill())).then(() =>
      rm(directory, { recursive: true, force: true, maxRetries: 3 }),
    )
    return stopped
  }
  try {
    await Promise.all(nodes.map((node) => node.start()))
  } catch (error) {
    await stop()
    throw error
  }
  const brokers = ports.map(({ plain }) => `${HOST}:${plain}`).join(',')
  return { url: `kafka://${brokers}`, brokers, nodes, stop }
}

export class KafkaNode {
  readonly #program: { readonly java: string; readonly classPath: string }
  readonly #directory: string
  readonly #index: number
  readonly #ports: readonly Ports[]
  readonly #options: KafkaOptions
  #running: { readonly pid: number; stop(): Promise<void> } | undefined

  constructor(
    program: { readonly java: string; readonly classPath: string },
    directory: string,
    index: number,
    ports: readonly Ports[],
    options: KafkaOptions,
  ) {
    this.#program = program
    this.#directory = directory
    this.#index = index
    this.#ports = ports
    this.#options = options
  }

  /** Where it listens: without anything, by SASL, by TLS for who has a certificate, and by TLS and SASL. */
  get ports(): Ports {
    return this.#ports[this.#index] as Ports
  }

  get pid(): number {
    if (this.#running === undefined) throw new Error('this node does not run')
    return this.#running.pid
  }

  /** Resolves when it knows of all nodes. On the directory of its last run, if there was one. */
  async start(): Promise<void> {
    const { java, classPath } = this.#program
    const file = join(this.#directory, 'kraft.properties')
    const isNew = (await mkdir(this.#directory, { recursive: true })) !== undefined
    const runJava = (...args: readonly string[]) => [...MEMORY, QUIET, '-cp', classPath, ...args]
    if (isNew) {
      await writeFile(file, properties(this.#directory, this.#index, this.#ports, this.#options))
      const users = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
        '--add-scram',
        `${mechanism}=[name=${KAFKA_USER.user},password=${KAFKA_USER.password}]`,
      ])
      const format = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', file, ...users]
      await promisify(execFile)(java, runJava(...format))
    }
    const client = new KafkaClient({ brokers: [], name: 'none' })
    const ready = async () => {
      const { brokers } = await client.metadata({ host: HOST, port: this.ports.plain }, [])
      return brokers.length === this.#ports.length
    }
    try {
      const args = () => runJava('kafka.Kafka', file)
      this.#running = await run({ program: java, args, ready, directory: this.#directory })
    } finally {
      client.close()
    }
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.stop()
  }

  /** SIGSTOP: it keeps its connections and says nothing, until `resume`. */
  pause(): void {
    process.kill(this.pid, 'SIGSTOP')
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT')
  }
}

function properties(directory: string, index: number, all: readonly Ports[], options: KafkaOptions): string {
  const { secured, advertised = [] } = options
  const ports = all[index] as Ports
  const listeners = [
    `PLAINTEXT://${HOST}:${ports.plain}`,
    `SASL_PLAINTEXT://${HOST}:${ports.sasl}`,
    ...(secured ? [`SSL://${HOST}:${ports.tls}`, `SASL_SSL://${HOST}:${ports.saslTls}`] : []),
  ]
  const outside = (port: number) => `OUTSIDE://${HOST}:${port}`
  const { user, password } = KAFKA_USER
  const saslOf = (listener: string) => [
    `listener.name.${listener}.plain.sasl.jaas.config=${LOGIN}.plain.PlainLoginModule required user_${user}="${password}";`,
    `listener.name.${listener}.scram-sha-256.sasl.jaas.config=${LOGIN}.scram.ScramLoginModule required;`,
    `listener.name.${listener}.scram-sha-512.sasl.jaas.config=${LOGIN}.scram.ScramLoginModule required;`,
  ]
  return [
    'process.roles=broker,controller',
    `node.id=${index + 1}`,
    `controller.quorum.voters=${all.map(({ controller }, other) => `${other + 1}@${HOST}:${controller}`).join()}`,
    'controller.listener.names=CONTROLLER',
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,OUTSIDE:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL',
    `listeners=${[...listeners, outside(ports.outside)]},CONTROLLER://${HOST}:${ports.controller}`,
    `advertised.listeners=${[...listeners, outside(advertised[index] ?? ports.outside)]}`,
    `log.dirs=${join(directory, 'data')}`,
    'auto.create.topics.enable=true',
    // One that was killed or stopped is replaced soon.
    'broker.session.timeout.ms=3000',
    'broker.heartbeat.interval.ms=500',
    'num.network.threads=2',
    'num.io.threads=2',
    'log.cleaner.dedupe.buffer.size=16777216',
    'log.cleaner.threads=1',
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    ...saslOf('sasl_plaintext'),
    ...(secured ? saslOf('sasl_ssl') : []),
    ...(secured
      ? [
          'ssl.keystore.type=PEM',
          `ssl.keystore.key=${oneLine(secured.key)}`,
          `ssl.keystore.certificate.chain=${oneLine(secured.cert)}`,
          'ssl.truststore.type=PEM',
          `ssl.truststore.certificates=${oneLine(secured.ca)}`,
          'listener.name.ssl.ssl.client.auth=required',
        ]
      : []),
    '',
  ].join('\n')
}

/** A value of a properties file that has several lines. */
function oneLine(pem: string): string {
  return pem.trim().replaceAll('\n', '\\n')
}
