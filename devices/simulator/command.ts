/**
 * Owns `telltale simulate`: options in, a run, progress and summary out. The cli mounts it and gives it what it must
 * not reach for itself. Exit status: 0 held, 1 failed or a threshold missed, 2 wrong usage.
 */

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import type { Clock } from '../../platform/clock.ts'
import { TelltaleError } from '../../platform/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import { printableLines } from '../../platform/printable.ts'
import type { Registry } from '../../schemas/registry.ts'
import { readCredentials } from './credentials.ts'
import type { TlsOptions } from './fleet/connection.ts'
import type { Credentials } from './fleet/fleet.ts'
import { readTls } from './fleet/tls-files.ts'
import { SimulatorSchemas } from './messages/simulator-schemas.ts'
import { type CommandValues, commandOptions, FLEET_OPTIONS, type Live, overridden, plainScenario } from './options.ts'
import { summaryText } from './report/summary-text.ts'
import { parseThreshold } from './report/thresholds.ts'
import { ForkedPart } from './run/forked-part.ts'
import { GatewayWatch } from './run/gateway-watch.ts'
import type { LiveLog, LiveWatch } from './run/live-log.ts'
import { LocalPart } from './run/local-part.ts'
import { costOfThisProcess } from './run/own-cost.ts'
import type { Part } from './run/part.ts'
import type { Cost, PartJob } from './run/part-messages.ts'
import { SubscriberWatch } from './run/subscriber-watch.ts'
import type { Scenario } from './scenario/scenario.ts'
import { readScenario } from './scenario/scenario-file.ts'
import { Simulator } from './simulator.ts'
import { SimulatorError } from './simulator-error.ts'
import { type NamedStore, queryOf } from './verify/named-store.ts'
import { RunVerifier } from './verify/run-verifier.ts'
import { storeOf } from './verify-command.ts'
import { type Output, PlainView } from './view/plain.ts'

export interface SimulateDeps {
  /** The broker of the settings, such as `mqtt://127.0.0.1:1883`: the default of `--url`. */
  readonly url: string
  /** The gateway of the settings, such as `http://127.0.0.1:8080`: the default of `--gateway`. */
  readonly gateway: string
  /** Called once a run starts, not for `--help`. */
  readonly registry: () => Registry
  /** By the installation's key; not called when `--credentials` is given. */
  readonly credentials: () => Promise<Credentials>
  /** The store of the settings; undefined if that is embedded, which one process alone may open. */
  readonly store: () => NamedStore | undefined
  /** Of an app that may read what the fleet sends, by the installation's key; not called when `--token` is given. */
  readonly appToken: () => Promise<string>
  /** The arguments of this Node by which a process serves a part of a run (`run/part-process.ts`). */
  readonly partCommand: readonly string[]
  readonly clock: Clock
  readonly logger: Logger
  readonly output: Output
  readonly errorOutput: Output
  /** Resolves when the person wants the run to end: `untilSignal`. Called once a run starts. */
  readonly untilInterrupted: () => Promise<unknown>
  /** Sets the exit status of the process, which ends by itself. */
  readonly exit: (status: number) => void
}

/** What is wrong with what was asked, not with what was found. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  'unknown-stream',
  'unknown-version',
  'unsupported-format',
  'bad-credentials',
  'bad-scenario',
  'bad-option',
  'bad-threshold',
])

export function simulateCommand(deps: SimulateDeps): Command {
  const command = new Command('simulate').description('Simulated devices: load, and what the broker made of it')
  for (const option of commandOptions(deps)) command.addOption(option)
  return command.action(async (values: CommandValues) => {
    try {
      const given = (name: string) => command.getOptionValueSource(name) === 'cli'
      deps.exit((await simulate(values, given, deps)) ? 0 : 1)
    } catch (error) {
      if (!(error instanceof TelltaleError)) throw error
      deps.errorOutput.write(`error: ${printableLines(error.message)}\n`)
      deps.exit(USAGE_CODES.has(error.code) ? 2 : 1)
    }
  })
}

/** Runs it and says whether everything was held. */
async function simulate(values: CommandValues, given: (name: string) => boolean, deps: SimulateDeps): Promise<boolean> {
  const schemas = new SimulatorSchemas(deps.registry())
  const scenario = scenarioOf(values, given, schemas)
  const ours = isOurs(given)
  const live = values.live ?? (ours || values.verify ? 'gateway' : 'off')
  requireMeasured(scenario, values.verify, live)
  const folder = folderOf(values, deps)
  if (folder !== undefined) mkdirSync(folder, { recursive: true })
  const { clock, logger } = deps
  const { processes: of, url } = values
  const tls = readTls(values)
  const jobs = Array.from({ length: of }, (_, index): PartJob => {
    const messagesFile = folder === undefined ? undefined : join(folder, `messages-${index}.tsv`)
    return { scenario, url, tls, part: { index, of }, messagesFile, credentialsFile: values.credentials }
  })
  const forked = of === 1 ? [] : jobs.map((job) => new ForkedPart(job, deps.partCommand))
  const [job] = jobs
  const parts: readonly Part[] =
    forked.length === 0 && job !== undefined
      ? [new LocalPart(job, { schemas, credentials: await credentialsOf(values.credentials, scenario, deps), logger })]
      : forked
  const token = values.token === undefined ? deps.appToken : async () => values.token ?? ''
  const store = values.askStore ? await queryOf(storeOf(deps)) : undefined
  const verifier =
    values.verify && folder !== undefined
      ? new RunVerifier({ directory: folder, url: values.gateway }, { token, clock, store, onStep: () => {} })
      : undefined
  const simulator = new Simulator(
    { scenario, url, gateway: ours || values.verify ? values.gateway : undefined, folder },
    {
      parts,
      watch: watchOf({ ...values, live }, { scenario, tls, schemas, ours }, deps),
      verifier,
      cost: () => addedUp([costOfThisProcess(), ...forked.map((part) => part.cost())]),
      logger,
    },
  )
  const interruption = new AbortController()
  void deps.untilInterrupted().then(() => interruption.abort())
  const progress = new PlainView(deps.output, () => simulator.snapshot)
  if (!values.json) progress.start()
  try {
    const summary = await simulator.run(interruption.signal)
    progress.stop()
    deps.output.write(`${values.json ? JSON.stringify(summary) : summaryText(summary)}\n`)
    return summary.ok
  } finally {
    progress.stop()
  }
}

function scenarioOf(values: CommandValues, given: (name: string) => boolean, schemas: SimulatorSchemas): Scenario {
  if (values.scenario === undefined) return overridden(plainScenario(values), values)
  const both = FLEET_OPTIONS.find(given)
  if (both !== undefined) throw new SimulatorError('bad-option', `--${both} is for a plain fleet: the scenario says it`)
  return overridden(readScenario(values.scenario, schemas.registry), values)
}

/** Another broker than that of the settings has no gateway of ours beside it, unless it is named. */
function isOurs(given: (name: string) => boolean): boolean {
  return given('gateway') || !given('url')
}

function watchOf(
  { url, gateway, live, token }: CommandValues & { readonly live: Live },
  { scenario, tls, schemas, ours }: { scenario: Scenario; tls: TlsOptions; schemas: SimulatorSchemas; ours: boolean },
  { appToken }: SimulateDeps,
): ((log: LiveLog) => LiveWatch) | undefined {
  if (live === 'off') return undefined
  const signed = token === undefined ? appToken : async () => token
  if (live === 'gateway')
    return (log) => new GatewayWatch({ url: gateway, token: signed, streams: streamsOf(scenario) }, log)
  const withToken = ours || token !== undefined ? signed : undefined
  const filters = filtersOf(scenario)
  return (log) => new SubscriberWatch({ url, tls, token: withToken, filters }, { log, schemas })
}

/** What readings come of; undefined where the platform's maps say it, as of Sparkplug. */
function streamsOf({ fleet }: Scenario): readonly string[] | undefined {
  const sends = fleet.flatMap((group) => group.sends)
  if (sends.some(({ format }) => format === 'sparkplug')) return undefined
  return [...new Set(sends.map(({ stream }) => stream))]
}

/** On which topics the fleet's messages come at a broker. */
function filtersOf({ fleet }: Scenario): string[] {
  const filters = fleet.flatMap(({ sends }) =>
    sends.map(({ format, stream, topic = '' }) => {
      if (format === 'sparkplug') return 'spBv1.0/#'
      return format === 'map' ? topic.replaceAll(/\{[^/]*\}/g, '+') : `devices/+/telemetry/${stream}/#`
    }),
  )
  return [...new Set(filters)]
}

/** A condition on what nobody looks at would never hold. */
function requireMeasured(scenario: Scenario, verify: boolean, live: Live): void {
  for (const condition of scenario.failIf) {
    const { needsVerification, needsLive } = parseThreshold(condition)
    if (needsVerification && !verify)
      throw new SimulatorError('bad-option', `${condition} needs --verify, which finds it out`)
    if (needsLive && live === 'off')
      throw new SimulatorError('bad-option', `${condition} needs live readings: --live gateway or broker`)
  }
}

function folderOf({ out, verify }: CommandValues, { clock }: SimulateDeps): string | undefined {
  if (out === false && verify)
    throw new SimulatorError('bad-option', '--verify reads what the run has kept: it does not go with --no-out')
  if (out === false) return undefined
  if (out === undefined || typeof out !== 'string')
    return join('runs', new Date(clock.now()).toISOString().replaceAll(':', '-'))
  if (existsSync(join(out, 'run.json')))
    throw new SimulatorError('bad-option', `--out: there is a run in ${out} already; name another folder`)
  return out
}

/** Of a file, or by the installation's key. Throws a `SimulatorError` `bad-credentials`. */
export async function credentialsOf(
  path: string | undefined,
  scenario: Scenario,
  deps: Pick<SimulateDeps, 'credentials'>,
): Promise<Credentials> {
  if (path === undefined) return deps.credentials()
  const file = readCredentials(path, scenario.fleet)
  const bad = async (device: string): Promise<string> => {
    const why = 'expired and revoked tokens are made with the key of the installation, not from --credentials'
    throw new SimulatorError('bad-credentials', `${device}: ${why}`)
  }
  return { good: async (device) => file.get(device) ?? '', expired: bad, revoked: bad }
}

const addedUp = (costs: readonly Cost[]): Cost => ({
  cpuSeconds: costs.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
  rssBytesMax: costs.reduce((sum, { rssBytesMax }) => sum + rssBytesMax, 0),
})
