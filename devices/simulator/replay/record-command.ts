/**
 * Owns `telltale record`: from a live platform into a file. The cli mounts it and gives it what it must not reach for itself. Exit status: 0
 * recorded, also if somebody ended it; 1 failed, or nothing came; 2 wrong usage.
 */

import { Command, Option as CommandOption, InvalidArgumentError } from 'commander'
import { TelltaleError as ClientError, type Token } from '../../../client/client.ts'
import { isTopicFilter, selectsTelemetry } from '../../../identity/topics.ts'
import { TelltaleError } from '../../../platform/errors.ts'
import { printable } from '../../../platform/printable.ts'
import { parseDuration } from '../../../platform/units.ts'
import { DURATION_MS_MAX } from '../scenario/scalars.ts'
import { record } from './record.ts'

export interface RecordCommandDeps {
  /** The gateway of the settings: the default of `--url`. */
  readonly url: string
  /** Of an app that may read what the filters select, by the installation's key; not called when `--token` is given. */
  readonly appToken: (filters: readonly string[]) => Promise<string>
  readonly output: { write(text: string): unknown }
  readonly errorOutput: { write(text: string): unknown }
  /** Resolves when the person wants it to end. Called once it starts. */
  readonly untilInterrupted: () => Promise<unknown>
  /** Sets the exit status of the process, which ends by itself. */
  readonly exit: (status: number) => void
}

interface Values {
  readonly filter: readonly string[]
  readonly out: string
  readonly for?: number
  readonly last?: string
  readonly url: string
  readonly token?: string
}

const EXIT_USAGE = 2

class WrongOption extends InvalidArgumentError {
  constructor(allowed: string) {
    super(`Allowed is ${allowed}.`)
    this.exitCode = EXIT_USAGE
  }
}

const ANY = 'devices/+/telemetry/#'

const filters = (text: string, before: readonly string[] | undefined): readonly string[] => {
  if (!isTopicFilter(text) || !selectsTelemetry(text)) throw new WrongOption(`a filter of telemetry, such as ${ANY}`)
  return [...(before ?? []), text]
}

const duration = (text: string): number => {
  const ms = parseDuration(text)
  if (ms === undefined || ms <= 0 || ms > DURATION_MS_MAX)
    throw new WrongOption('a duration such as 30s, 15m, 24h, to 24d')
  return ms
}

const ago = (text: string): string => {
  duration(text)
  return text
}

const gatewayUrl = (text: string): string => {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new WrongOption('an http:// or https:// URL')
  return text
}

export function recordCommand(deps: RecordCommandDeps): Command {
  return new Command('record')
    .description('Readings of a live platform, as they come, into a file that can be replayed')
    .addOption(
      new CommandOption('--filter <filter>', `an MQTT topic filter; may be repeated (default: ${ANY})`).argParser(
        filters,
      ),
    )
    .requiredOption('--out <file>', 'NDJSON, a reading a line; a file that is there already is refused')
    .addOption(new CommandOption('--for <time>', 'how long, such as 5m; else until Ctrl-C').argParser(duration))
    .addOption(new CommandOption('--last <time>', 'begin so long ago, such as 15m; else now').argParser(ago))
    .addOption(new CommandOption('--url <url>', 'the gateway').argParser(gatewayUrl).default(deps.url))
    .option('--token <token>', "an app's; else one is signed by this installation's key")
    .action(async (values: Values) => {
      try {
        deps.exit(await run(values, deps))
      } catch (error) {
        if (!(error instanceof TelltaleError || error instanceof ClientError)) throw error
        deps.errorOutput.write(`error: ${printable(error.message)}\n`)
        deps.exit(1)
      }
    })
}

async function run(values: Values, deps: RecordCommandDeps): Promise<number> {
  const { filter: asked = [ANY], out, for: forMs = Number.POSITIVE_INFINITY, last, url, token: given } = values
  const token: Token = given ?? (() => deps.appToken(asked))
  const interruption = new AbortController()
  void deps.untilInterrupted().then(() => interruption.abort())
  const tell = (sentence: string) => deps.errorOutput.write(`${printable(sentence)}\n`)
  const { readings, missed, gaps, bytes } = await record(
    { url, filters: asked, file: out, forMs, last },
    { token, tell, signal: interruption.signal },
  )
  const lacking =
    gaps === 0 ? 'nothing is missing' : `missing: ${counted(missed, 'message')}, in ${counted(gaps, 'gap')}`
  deps.output.write(`${printable(out)}: ${counted(readings, 'reading')}, ${bytes} bytes; ${lacking}\n`)
  return readings === 0 ? 1 : 0
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`
