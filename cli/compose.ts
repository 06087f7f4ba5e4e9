/**
 * Owns putting the parts together: the one place that knows all roles. Parts start from the ground up (log, ingest,
 * gateway, broker) and stop the other way, so that nothing is taken which could not be kept.
 */

import { Bridge } from '../bridge/bridge.ts'
import { Broker } from '../broker/broker.ts'
import { connectionsMax } from '../broker/connect/listeners.ts'
import { ForeignTopics } from '../broker/session/foreign-topics.ts'
import { Gateway } from '../gateway/gateway.ts'
import { appConnectionsMax } from '../gateway/server/connections.ts'
import type { Identity } from '../identity/identity.ts'
import { Ingest } from '../ingest/ingest.ts'
import { createStore, STORES } from '../ingest/stores.ts'
import { INGEST_READER } from '../log/log.ts'
import { Maps } from '../maps/maps.ts'
import { UnmappedTopics } from '../maps/unmapped-topics.ts'
import { type CertificateFiles, CertificateWatch, type Pems } from '../platform/certificate-watch.ts'
import { systemClock } from '../platform/clock.ts'
import { growFileTable } from '../platform/files.ts'
import type { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/logger.ts'
import { isLoopback } from '../platform/loopback.ts'
import type { Metrics } from '../platform/metrics.ts'
import { packageVersion } from '../platform/package.ts'
import type { Settings } from '../platform/settings.ts'
import type { CurrentSchemas } from '../schemas/current-schemas.ts'
import type { History } from '../schemas/history.ts'
import { bridgeOptions } from './bridge-options.ts'
import {
  alertsFile,
  learntDirectory,
  openDevices,
  openIdentity,
  openRules,
  openSchemas,
  unmappedFile,
} from './installation.ts'
import { makeLog } from './log.ts'
import { payloadCheck } from './payload-check.ts'
import { PlayedRoles } from './played-roles.ts'
import type { Role } from './roles.ts'

export interface Platform {
  readonly identity: Identity
  readonly broker: Broker | undefined
  readonly gateway: Gateway | undefined
  /** Rejects when a part fails for good; the process then ends with what it says. */
  readonly failed: Promise<never>
  /** Looks at once at what is looked at all the time: keys, revocations, certificates, schemas. */
  readonly reload: () => void
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
  const appsMax = roles.has('gateway') ? appConnectionsMax(roles.has('broker')) : 0
  if (roles.has('broker')) growFileTable(connectionsMax() + appsMax)
  const identity = await openIdentity(settings)
  const { readingTimeMinMs } = settings
  const { schemas, mapsWatch, unkept } = openSchemas(settings, logger('maps'), metrics)
  const maps = new Maps(schemas)
  const watchKeys = async () => identity.watch(logger('identity'))
  const watchSchemas = async () => schemas.watch(logger('schemas'))
  await lifecycle.start({ name: schemas.name, start: watchSchemas, stop: async () => schemas.stop() })
  await lifecycle.start({ name: identity.name, start: watchKeys, stop: () => identity.stop() })

  await lifecycle.start(mapsWatch)

  const log = await makeLog(
    settings,
    { writer: roles.has('broker') || roles.has('bridge') },
    { logger: logger('log'), metrics },
  )
  await lifecycle.start(log)
  if (identity.hasNewKey && (await log.ledger(INGEST_READER)).accepted > 0) {
    logger('identity').warn('a new signing key was made, for there was none: no token of before is good any more')
  }

  await lifecycle.start(new PlayedRoles(roles, { log, logger: logger('log') }))

  let ingest: Ingest | undefined
  if (roles.has('ingest')) {
    ingest = new Ingest(
      {
        workers: settings.ingestWorkers,
        store: STORES[settings.store].optionsFrom(settings),
        schemas,
        readingTimeMinMs,
        learnt: learntDirectory(settings),
      },
      {
        log,
        foreign: { maps, watch: mapsWatch, unkept: unkept.tell },
        journal: log.journal,
        clock,
        logger: logger('ingest'),
        metrics,
      },
    )
    await lifecycle.start(ingest)
  }

  let gateway: Gateway | undefined
  let broker: Broker | undefined
  let bridge: Bridge | undefined
  const files = tlsFiles(settings)
  const renew = (pems: Pems) => {
    broker?.renewCertificate(pems)
    gateway?.renewCertificate()
  }
  const certificate = files && new CertificateWatch(files, { renew, logger: logger('certificate') })
  // Before anybody is served by it: what is renewed from here on is noticed.
  if (certificate !== undefined) await lifecycle.start(certificate)

  const { devices, watch: devicesWatch } = openDevices(settings, logger('devices'))
  if (roles.has('gateway') || roles.has('broker')) await lifecycle.start(devicesWatch)

  const { rules, watch: rulesWatch } = openRules(settings, { schemas, declared: devices.declared }, logger('rules'))
  if (roles.has('gateway')) {
    await lifecycle.start(rulesWatch)
    gateway = new Gateway(gatewayOptions(settings, appsMax), {
      log,
      presence: log.presence,
      commands: log.commands,
      journal: log.journal,
      roles: log.roles,
      declared: devices.declared,
      full: () => log.full?.message,
      schemas,
      history: await historyOf(settings, ingest, schemas, lifecycle),
      storeShown: STORES[settings.store].describe(settings),
      rules,
      identity: settings.auth === 'token' ? identity : ANYONE,
      ready: () => notReady() ?? log.full?.message ?? (roles.has('broker') ? undefined : bridge?.away),
      clock,
      logger: logger('gateway'),
      metrics,
    })
    await lifecycle.start(gateway)
  }

  const unmapped = new UnmappedTopics(unmappedFile(settings), { clock, logger: logger('maps') })
  await lifecycle.start({ name: 'unmapped', start: async () => undefined, stop: () => unmapped.stop() })
  if (roles.has('broker')) {
    broker = new Broker(brokerOptions(settings), {
      log,
      presence: log.presence,
      members: log.members,
      commands: log.commands,
      journal: log.journal,
      identity: settings.auth === 'token' ? identity : undefined,
      users: devices.users,
      foreign: new ForeignTopics(maps, unmapped),
      check: payloadCheck(settings.mqtt5Check, schemas),
      clock,
      logger: logger('broker'),
      metrics,
    })
    await lifecycle.start(broker)
  }
  if (roles.has('bridge')) {
    bridge = new Bridge(bridgeOptions(settings), {
      log,
      presence: log.presence,
      journal: log.journal,
      maps,
      unmapped,
      clock,
      logger: logger('bridge'),
      metrics,
    })
    schemas.onChange(() => bridge?.look())
    await lifecycle.start(bridge)
  }
  const failed = Promise.race([log.failed, ...(ingest === undefined ? [] : [ingest.failed])])
  // Whoever has the platform may look later.
  failed.catch(() => undefined)
  const reload = () => {
    identity.look()
    schemas.look()
    mapsWatch.look()
    devicesWatch.look()
    rulesWatch.look()
    certificate?.look()
  }
  return { identity, broker, gateway, failed, reload }
}

/** With authentication off, on loopback only, every app may read everything. */
const ANYONE = {
  verify: async () =>
    ({
      kind: 'app',
      filters: ['#'],
      schemas: true,
      deadLetters: true,
      commands: ['*'],
      expiresAt: Number.POSITIVE_INFINITY,
    }) as const,
  isRevoked: () => false,
}

/** The embedded store answers through the thread that writes to it; a remote one is asked from here. */
async function historyOf(
  settings: Settings,
  ingest: Ingest | undefined,
  schemas: CurrentSchemas,
  lifecycle: Lifecycle,
): Promise<History> {
  const kind = STORES[settings.store]
  if (kind.isEmbedded && ingest !== undefined) return ingest.history
  const store = await createStore(kind.optionsFrom(settings), { streams: schemas.registry.streams })
  schemas.onChange(() => void store.useStreams(schemas.registry.streams))
  await lifecycle.start({ name: 'history', start: () => store.start(), stop: () => store.stop() })
  return store.history
}

function tlsFiles({ tlsCert: cert, tlsKey: key, tlsCa: ca, tlsCrl: crl }: Settings): CertificateFiles | undefined {
  return cert === undefined || key === undefined ? undefined : { cert, key, ca, crl }
}

function brokerOptions(settings: Settings) {
  const { mqttHost: host, mqttPort, mqttsPort, mqttWsPort, insecure } = settings
  const { mqttKeepaliveMaxMs: keepaliveMaxMs, mqttServerReference: serverReference } = settings
  const { deviceMessagesPerSecond: messagesPerSecond, deviceBytesPerSecond: bytesPerSecond } = settings
  return {
    host,
    // Beyond loopback, tokens travel by TLS only.
    port: isLoopback(host) || insecure ? mqttPort : undefined,
    tlsPort: mqttsPort,
    webSocketPort: mqttWsPort,
    tls: tlsFiles(settings),
    byCertificate: settings.tlsIdentity === 'cert',
    proxyProtocol: settings.proxyProtocol,
    mqtt5: { keepaliveMaxSeconds: keepaliveMaxMs && Math.floor(keepaliveMaxMs / 1_000), serverReference },
    deviceRate: { messagesPerSecond, bytesPerSecond },
    refuseForeign: settings.auth === 'off',
    sparkplugHost: settings.sparkplugHost,
  }
}

function gatewayOptions(settings: Settings, connectionsMax: number) {
  const {
    gatewayHost: host,
    gatewayPort: port,
    gatewayServer: server,
    loopbackMetrics,
    gatewayOrigins: origins,
    mapTiles: template,
    mapAttribution: attribution,
  } = settings
  const tls = tlsFiles(settings)
  return {
    host,
    port,
    server,
    connectionsMax,
    loopbackMetrics,
    platform: { version: packageVersion(), store: settings.store, dataDir: settings.dataDir },
    alertsFile: alertsFile(settings),
    refuseForeign: settings.auth === 'off',
    ...(origins && { origins }),
    ...(template && { mapTiles: { template, ...(attribution && { attribution }) } }),
    ...(tls && { tls: { certFile: tls.cert, keyFile: tls.key } }),
  }
}
