/**
 * Owns putting the parts together: the one place that knows all roles. Parts start from the ground up (log, ingest,
 * gateway, broker) and stop the other way, so that nothing is taken which could not be kept.
 */

import { Broker } from '../broker/broker.ts'
import type { Identity } from '../devices/identity.ts'
import { Gateway } from '../gateway/gateway.ts'
import { Ingest } from '../ingest/ingest.ts'
import type { StoreOptions } from '../ingest/store.ts'
import { createStore } from '../ingest/stores.ts'
import { LocalLog } from '../log/local/local-log.ts'
import { systemClock } from '../platform/clock.ts'
import type { Lifecycle, Part } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import { isLoopback, type Settings } from '../platform/settings.ts'
import { duckdbFile, loadRegistry, logDirectory, openIdentity, schemasDirectory } from './installation.ts'
import type { Role } from './roles.ts'

export interface Platform {
  readonly identity: Identity
  readonly broker: Broker | undefined
  readonly gateway: Gateway | undefined
  /** Rejects when a part fails for good; the process then ends with what it says. */
  readonly failed: Promise<never>
}

export interface PlatformDependencies {
  readonly lifecycle: Lifecycle
  readonly logger: Logger
  readonly metrics: Metrics
  /** Why the platform is not ready, as the process knows it; undefined once it is. */
  readonly notReady: () => string | undefined
}

/** Starts the roles, each as a part of the lifecycle. Rejects with what kept one from starting. */
export async function startPlatform(
  settings: Settings,
  roles: ReadonlySet<Role>,
  dependencies: PlatformDependencies,
): Promise<Platform> {
  const { lifecycle, metrics, notReady } = dependencies
  const logger = (role: string) => dependencies.logger.child({ role })
  const clock = systemClock
  const identity = await openIdentity(settings)
  const registry = loadRegistry(settings)

  const log = new LocalLog(
    {
      directory: logDirectory(settings),
      writer: roles.has('broker'),
      maxBytes: settings.logMaxBytes,
      retentionMs: settings.logRetentionMs,
    },
    { clock, logger: logger('log'), metrics },
  )
  await lifecycle.start(log)

  let failed: Promise<never> = new Promise(() => undefined)
  if (roles.has('ingest')) {
    const ingest = new Ingest(
      { workers: settings.ingestWorkers, store: storeOptions(settings), schemasDir: schemasDirectory(settings) },
      { log, clock, logger: logger('ingest'), metrics },
    )
    await lifecycle.start(ingest)
    failed = ingest.failed
  }

  let gateway: Gateway | undefined
  if (roles.has('gateway')) {
    const store = createStore(storeOptions(settings), { registry, logger: logger('store') })
    await lifecycle.start(asPart('store', store))
    gateway = new Gateway(gatewayOptions(settings), {
      log,
      presence: log.presence,
      registry,
      history: store.history,
      identity,
      ready: () => notReady() ?? log.full?.message,
      clock,
      logger: logger('gateway'),
      metrics,
    })
    await lifecycle.start(gateway)
  }

  let broker: Broker | undefined
  if (roles.has('broker')) {
    broker = new Broker(listenerOptions(settings), {
      log,
      presence: log.presence,
      identity: settings.auth === 'token' ? identity : undefined,
      clock,
      logger: logger('broker'),
      metrics,
    })
    await lifecycle.start(broker)
  }
  return { identity, broker, gateway, failed }
}

function asPart(name: string, store: { start(): Promise<void>; stop(): Promise<void> }): Part {
  return { name, start: () => store.start(), stop: () => store.stop() }
}

function storeOptions(settings: Settings): StoreOptions {
  if (settings.store === 'duckdb') return { kind: 'duckdb', path: duckdbFile(settings) }
  return {
    kind: 'influx',
    url: settings.influxUrl ?? '',
    token: settings.influxToken,
    org: settings.influxOrg,
    bucket: settings.influxBucket,
    api: settings.influxApi,
  }
}

function tlsFiles(settings: Settings) {
  const { tlsCert: cert, tlsKey: key } = settings
  return cert === undefined || key === undefined ? undefined : { cert, key }
}

function listenerOptions(settings: Settings) {
  const { mqttHost: host, mqttPort, mqttsPort, mqttWsPort, tlsCa: ca, insecure } = settings
  const tls = tlsFiles(settings)
  return {
    host,
    // Beyond loopback, tokens travel by TLS only.
    port: isLoopback(host) || insecure ? mqttPort : undefined,
    tlsPort: mqttsPort,
    webSocketPort: mqttWsPort,
    tls: tls && { ...tls, ca },
  }
}

function gatewayOptions(settings: Settings) {
  const { gatewayHost: host, gatewayPort: port } = settings
  const tls = tlsFiles(settings)
  return { host, port, ...(tls && { tls: { certFile: tls.cert, keyFile: tls.key } }) }
}
