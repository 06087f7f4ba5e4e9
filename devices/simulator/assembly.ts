/**
 * Owns how what a person has asked on the command line becomes a run: its scenario, its processes, the app beside it, its verification. Always
 * true: what cannot be is said before anything connects.
 */

import { join } from 'node:path'
import type { Clock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Registry } from '../../schemas/registry.ts'
import { readCredentials } from './credentials.ts'
import type { Credentials } from './fleet/fleet.ts'
import type { TlsOptions } from './fleet/mqtt-client.ts'
import { type TlsFileNames, TlsFiles } from './fleet/tls-files.ts'
import { KeptFolder } from './kept/kept-folder.ts'
import { SimulatorSchemas } from './messages/simulator-schemas.ts'
import { type CommandValues, FLEET_OPTIONS, type Live, overridden, plainScenario, REPLAY_OPTIONS } from './options.ts'
import { Replay } from './replay/replay-source.ts'
import { FaultChecks, needsChecks } from './run/fault-checks.ts'
import { ForkedPart } from './run/forked-part.ts'
import { GatewayWatch } from './run/gateway-watch.ts'
import type { LiveLog, LiveWatch } from './run/live-log.ts'
import { LocalPart } from './run/local-part.ts'
import { type Cost, costOfThisProcess } from './run/own-cost.ts'
import type { Part } from './run/part.ts'
import type { PartJob } from './run/part-messages.ts'
import { SubscriberWatch } from './run/subscriber-watch.ts'
import { deviceName, type Scenario } from './scenario/scenario.ts'
import { readScenario } from './scenario/scenario-file.ts'
import { parseThreshold, requireMeasured } from './scenario/threshold.ts'
import { Simulator } from './simulator.ts'
import { SimulatorError } from './simulator-error.ts'
import { type NamedStore, queryOf } from './verify/named-store.ts'
import { RunVerifier, SubscriptionVerifier } from './verify/run-verifier.ts'

export interface AssemblyDeps {
  readonly registry: () => Registry
  /** By the installation's key; not called when `--credentials` is given. */
  readonly credentials: () => Promise<Credentials>
  /**
   * Of an app that may read what the fleet sends, by the installation's key; not called when `--token` is given. `commands`:
   * the devices that it may command, too.
   */
  readonly appToken: (commands?: readonly string[]) => Promise<string>
  /** The store of the settings; undefined if that is embedded, which one process alone may open. */
  readonly store: () => NamedStore | undefined
  /** The arguments of this Node by which a process serves a part of a run (`run/part-process.ts`). */
  readonly partCommand: readonly string[]
  readonly clock: Clock
  readonly logger: Logger
  /** A sentence for whoever runs it, at once. */
  readonly say: (sentence: string) => void
}

/** `given`: whether the person has said this option, by its name as commander has it. */
export interface Asked {
  readonly values: CommandValues
  readonly given: (name: string) => boolean
}

export interface Assembled {
  readonly simulator: Simulator
  readonly scenario: Scenario
  /** Undefined: nothing is kept. */
  readonly folder: KeptFolder | undefined
}

/** Throws a `SimulatorError`, a `ScenarioError`, a `ThresholdError`, a `RecordingError`. */
export async function assemble({ values, given }: Asked, deps: AssemblyDeps): Promise<Assembled> {
  const schemas = new SimulatorSchemas(deps.registry())
  const scenario = await scenarioOf({ values, given }, schemas)
  const ours = given('gateway') || !given('url') || values.live === 'gateway'
  const live = values.live ?? (ours ? 'gateway' : values.verify ? 'broker' : 'off')
  if (!ours) requireVerifiableThere({ ...values, live })
  const subscribes = live !== 'off'
  const ofFlags = values.failIf || []
  const ofFile = scenario.failIf.filter((each) => !ofFlags.includes(each))
  const looks = { verifies: values.verify, subscribes }
  if (values.scenario !== undefined) requireMeasured(ofFile.map(parseThreshold), { ...looks, file: values.scenario })
  requireMeasured(scenario.failIf.map(parseThreshold), looks)
  const store = values.askStore ? await queryOf(storeOf(deps)) : undefined
  const run = { scenario, schemas, ours, live, tls: { ca: values.ca, cert: values.cert, key: values.key }, store }
  const folder = makeFolder(values, deps.clock)
  try {
    const simulator = await simulatorOf({ values, given }, { ...run, folder: folder?.path }, deps)
    return { simulator, scenario, folder }
  } catch (error) {
    folder?.removeUnbegun()
    throw error
  }
}

interface Decided {
  readonly scenario: Scenario
  readonly schemas: SimulatorSchemas
  /** A gateway of ours is beside the broker. */
  readonly ours: boolean
  readonly live: Live
  readonly tls: TlsFileNames
  readonly store: Awaited<ReturnType<typeof queryOf>> | undefined
  readonly folder: string | undefined
}

async function simulatorOf({ values, given }: Asked, run: Decided, deps: AssemblyDeps): Promise<Simulator> {
  const { scenario, schemas, ours, live, tls, store, folder } = run
  const { clock, logger } = deps
  const { url, verify, gateway } = values
  // An app shows what the first device does.
  const appTls = new TlsFiles(tls).of(firstDevice(scenario))
  const token = values.token === undefined ? () => deps.appToken() : async () => values.token ?? ''
  const parts = await partsOf(values, { scenario, tls, folder, schemas }, deps)
  const verifierDeps = { token, clock, store, logger }
  const verifierIn = (directory: string) =>
    ours
      ? new RunVerifier({ directory, url: gateway }, verifierDeps)
      : new SubscriptionVerifier(directory, verifierDeps)
  const verifier = verify && folder !== undefined ? verifierIn(folder) : undefined
  return new Simulator(
    { scenario, url, gateway: ours ? gateway : undefined, folder },
    {
      parts,
      watch: watchOf(
        { ...values, live },
        { scenario, tls: appTls, schemas, isOurs: ours, token: ours || given('token') ? token : undefined },
      ),
      verifier,
      faultChecks:
        ours && verifier !== undefined && needsChecks(scenario) ? faultChecksOf(values, scenario, deps) : undefined,
      cost: () => addedUp([costOfThisProcess(), ...parts.flatMap((part) => part.cost?.() ?? [])]),
      say: deps.say,
    },
  )
}

async function scenarioOf({ values, given }: Asked, schemas: SimulatorSchemas): Promise<Scenario> {
  const { scenario: file, replay } = values
  if (file !== undefined && replay !== undefined)
    throw new SimulatorError('bad-option', '--scenario and --replay are two runs: allowed is one of them')
  if (replay !== undefined) {
    requireNone(
      FLEET_OPTIONS.filter((name) => !REPLAY_OPTIONS.includes(name)),
      given,
      'the recording says it',
    )
    return overridden(await replayScenario(replay, values, schemas), values)
  }
  const stray = ['speed', 'times'].find(given)
  if (stray !== undefined) throw new SimulatorError('bad-option', `--${stray} is for --replay alone`)
  if (file === undefined) return overridden(plainScenario(values), values)
  requireNone(FLEET_OPTIONS, given, 'the scenario says it')
  return overridden(readScenario(file, schemas.registry), values)
}

/** At another broker than ours what came at a subscriber is all that there is to ask. */
function requireVerifiableThere({ verify, live, askStore }: CommandValues): void {
  const where = 'where --url is of another broker (--gateway says that it is ours)'
  if (askStore) throw new SimulatorError('bad-option', `--ask-store: no store is asked ${where}`)
  if (verify && live === 'off')
    throw new SimulatorError('bad-option', `--verify needs --live broker ${where}: it asks a subscriber`)
}

function requireNone(names: readonly string[], given: (name: string) => boolean, why: string): void {
  const both = names.find(given)
  if (both !== undefined) throw new SimulatorError('bad-option', `--${both} is for a plain fleet: ${why}`)
}

/** The devices of a recording, which send what they have sent. */
async function replayScenario(file: string, values: CommandValues, { registry }: SimulatorSchemas): Promise<Scenario> {
  const { speed, times, format } = values
  if (format !== 'avro' && format !== 'json')
    throw new SimulatorError('bad-option', `--format ${format}: a recording is sent as avro or json`)
  const { devices, streams } = await Replay.open({ file, speed, times, format }, registry)
  if (devices.length === 0) throw new SimulatorError('bad-option', `--replay: there is no reading in ${file}`)
  const plain = plainScenario(values)
  const fleet = plain.fleet.map((group) => ({
    ...group,
    prefix: '',
    ids: devices,
    devices: devices.length,
    sends: group.sends.map((sending) => ({ ...sending, stream: streams.join(', ') })),
  }))
  return { ...plain, name: `replay of ${file}`, fleet, replay: { file, speed, times } }
}

/** With `--token` it may command what that one may. */
function faultChecksOf({ gateway, token }: CommandValues, scenario: Scenario, deps: AssemblyDeps): FaultChecks {
  const commanded = scenario.faults.some(({ kind }) => kind === 'never-acknowledges')
  const prefixes = commanded ? scenario.fleet.map(({ prefix }) => `${prefix}*`) : []
  return new FaultChecks(scenario, gateway, {
    token: async () => token ?? deps.appToken([...new Set(prefixes)]),
    logger: deps.logger,
  })
}

async function partsOf(
  { url, processes: of, credentials }: CommandValues,
  run: { scenario: Scenario; tls: TlsFileNames; folder: string | undefined; schemas: SimulatorSchemas },
  deps: AssemblyDeps,
): Promise<readonly Part[]> {
  const { scenario, tls, folder, schemas } = run
  const jobs = Array.from({ length: of }, (_, index): PartJob => {
    const messagesFile = folder === undefined ? undefined : join(folder, `messages-${index}.tsv`)
    return { scenario, url, tls, part: { index, of }, messagesFile, credentialsFile: credentials }
  })
  if (of > 1) return jobs.map((job) => new ForkedPart(job, deps.partCommand))
  const here = { schemas, credentials: await credentialsOf(credentials, scenario, deps), logger: deps.logger }
  return jobs.map((job) => new LocalPart(job, here))
}

function watchOf(
  { url, gateway, live }: CommandValues & { readonly live: Live },
  run: {
    scenario: Scenario
    tls: TlsOptions
    schemas: SimulatorSchemas
    isOurs: boolean
    token: (() => Promise<string>) | undefined
  },
): ((log: LiveLog) => LiveWatch) | undefined {
  const { scenario, tls, schemas, isOurs, token } = run
  if (live === 'off') return undefined
  if (live === 'gateway') {
    const streams = streamsOf(scenario)
    return (log) => new GatewayWatch({ url: gateway, token: token ?? (async () => ''), streams }, log)
  }
  const filters = filtersOf(scenario)
  return (log) => new SubscriberWatch({ url, tls, isOurs, token, filters }, { log, schemas })
}

/** What readings come of; undefined where the recording or the platform's maps say it, as of Sparkplug. */
function streamsOf({ fleet, replay }: Scenario): readonly string[] | undefined {
  const sends = fleet.flatMap((group) => group.sends)
  if (replay !== undefined || sends.some(({ format }) => format === 'sparkplug')) return undefined
  return [...new Set(sends.map(({ stream }) => stream))]
}

const firstDevice = ({ fleet: [group] }: Scenario) => (group === undefined ? '' : deviceName(group, 0))

/** On which topics the fleet's messages come at a broker. */
function filtersOf({ fleet, replay }: Scenario): string[] {
  if (replay !== undefined) return ['devices/+/telemetry/#']
  const filters = fleet.flatMap(({ sends }) =>
    sends.map(({ format, stream, topic = '' }) => {
      if (format === 'sparkplug') return 'spBv1.0/#'
      return format === 'map' ? topic.replaceAll(/\{[^/]*\}/g, '+') : `devices/+/telemetry/${stream}/#`
    }),
  )
  return [...new Set(filters)]
}

/** Where the run is kept; undefined: nowhere. */
function makeFolder({ out, verify }: CommandValues, clock: Clock): KeptFolder | undefined {
  if (out === false) {
    if (verify)
      throw new SimulatorError('bad-option', '--verify reads what the run has kept: it does not go with --no-out')
    return undefined
  }
  return KeptFolder.make(
    typeof out === 'string' ? out : join('runs', new Date(clock.now()).toISOString().replaceAll(':', '-')),
  )
}

/** Of a file, or by the installation's key. Throws a `SimulatorError` `bad-credentials`. */
export async function credentialsOf(
  path: string | undefined,
  scenario: Scenario,
  deps: Pick<AssemblyDeps, 'credentials'>,
): Promise<Credentials> {
  if (path === undefined) return deps.credentials()
  const file = readCredentials(path, scenario.fleet)
  const bad = async (device: string): Promise<string> => {
    const why = 'expired and revoked tokens are made with the key of the installation, not from --credentials'
    throw new SimulatorError('bad-credentials', `${device}: ${why}`)
  }
  return { good: async (device) => file.get(device) ?? '', expired: bad, revoked: bad }
}

/** Throws a `SimulatorError` `bad-option`. */
export function storeOf({ store }: Pick<AssemblyDeps, 'store'>): NamedStore {
  const named = store()
  if (named !== undefined) return named
  throw new SimulatorError(
    'bad-option',
    '--ask-store: the embedded store is open in one process alone, which history asks; name an InfluxDB by INFLUX_URL',
  )
}

const addedUp = (costs: readonly Cost[]): Cost => ({
  cpuSeconds: costs.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
  rssBytesMax: costs.reduce((sum, { rssBytesMax }) => sum + rssBytesMax, 0),
})
