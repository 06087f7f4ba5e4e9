/**
 * Owns `/v1/devices/{id}/commands`: what an app asks of a device, what became of it, and taking it back.
 *
 * Always true: an answer 202 means that the command is on disk. Who may command a device sees its commands whole; who may only read its
 * telemetry sees that they are there and what became of them. A command may be for a device that never connected: it waits for it.
 * Bounds: those of `log/commands.ts`, and `COMMANDS_PER_TOKEN` of one token; one more is refused.
 */

import { isDeviceId } from '../identity/topics.ts'
import {
  COMMAND_BYTES_MAX,
  COMMAND_EXPIRY_MS_MAX,
  COMMAND_EXPIRY_MS_MIN,
  type Command,
  type Commands,
} from '../log/commands.ts'
import type { Clock } from '../platform/clock.ts'
import { Throttle } from '../platform/throttle.ts'
import { formatDuration, parseDuration } from '../platform/units.ts'
import type { Access } from './access.ts'
import { Refusal } from './refusal.ts'

/** So many at once, then so many a second. */
export const COMMANDS_PER_TOKEN = { burst: 50, perSecond: 10, waitingMax: 0 }
const EXPIRES_IN = '1h'

export interface DeviceCommandsDependencies {
  readonly commands: Commands
  readonly clock: Clock
}

export class DeviceCommands {
  readonly #commands: Commands
  readonly #clock: Clock
  readonly #throttle = new Throttle(COMMANDS_PER_TOKEN)

  constructor({ commands, clock }: DeviceCommandsDependencies) {
    this.#commands = commands
    this.#clock = clock
  }

  /** Resolves when it is on disk. */
  async add(id: string, body: string, access: Access): Promise<{ readonly id: string }> {
    const device = deviceOf(id)
    requireCommand(access, device)
    const { payload, expiresInMs } = readBody(body)
    const now = this.#clock.now()
    const { proof } = access.principal
    if (this.#throttle.wait(now, `${proof?.key} ${proof?.id}`) === undefined) {
      const { perSecond, burst } = COMMANDS_PER_TOKEN
      throw new Refusal('too-many-commands', `allowed to a token are ${perSecond} commands a second, ${burst} at once`)
    }
    const added = await this.#commands.add({ device, payload, expiresAt: now + expiresInMs })
    return { id: added.id }
  }

  /** In the order they were asked for. */
  list(id: string, access: Access): { readonly commands: readonly object[] } {
    const device = deviceOf(id)
    const mayCommand = access.commands(device)
    if (!mayCommand && !access.sees(device)) {
      throw new Refusal('forbidden', `the device ${JSON.stringify(device)} lies outside the token's filters`)
    }
    const now = this.#clock.now()
    return { commands: this.#commands.of(device).map((command) => shown(command, mayCommand, now)) }
  }

  /** Resolves when it is on disk that the command is not sent any more. */
  async cancel(id: string, command: string, access: Access): Promise<object> {
    const device = deviceOf(id)
    requireCommand(access, device)
    const [cancelled] = await this.#commands.change(device, [{ id: command, state: 'cancelled' }])
    const now = this.#clock.now()
    if (cancelled !== undefined) return shown(cancelled, true, now)
    const known = this.#commands.of(device).find((each) => each.id === command)
    if (known === undefined) throw new Refusal('not-found', `${device} has no command ${JSON.stringify(command)}`)
    throw new Refusal('command-over', `the command is ${known.state} already: only what is not over can be cancelled`)
  }
}

function deviceOf(text: string): string {
  if (isDeviceId(text)) return text
  const right = 'a device id is 1 to 64 of A-Z a-z 0-9 . _ : -'
  throw new Refusal('not-found', `there is no device ${JSON.stringify(text)}: ${right}`)
}

function requireCommand(access: Access, device: string): void {
  if (access.commands(device)) return
  const mend = `\`telltale token app --command devices/${device}\` makes one that may`
  throw new Refusal('forbidden', `the token may not command ${device}: ${mend}`)
}

function readBody(body: string): { readonly payload: Buffer; readonly expiresInMs: number } {
  const read = jsonOf(body)
  if (typeof read !== 'object' || read === null || Array.isArray(read) || !('payload' in read)) {
    throw new Refusal('command-invalid', 'the body is to be {"payload": <JSON>, "expiresIn": "10m"}')
  }
  const { payload, expiresIn = EXPIRES_IN, ...others } = read as { payload: unknown; expiresIn?: unknown }
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined) {
    throw new Refusal('command-invalid', `the body has ${JSON.stringify(unknown)}: allowed are payload, expiresIn`)
  }
  const expiresInMs = typeof expiresIn === 'string' ? parseDuration(expiresIn) : undefined
  if (expiresInMs === undefined || expiresInMs < COMMAND_EXPIRY_MS_MIN || expiresInMs > COMMAND_EXPIRY_MS_MAX) {
    const allowed = `from ${formatDuration(COMMAND_EXPIRY_MS_MIN)} to ${formatDuration(COMMAND_EXPIRY_MS_MAX)}, such as 10m`
    throw new Refusal('command-invalid', `expiresIn is ${JSON.stringify(expiresIn)}: allowed is a duration ${allowed}`)
  }
  const bytes = Buffer.from(JSON.stringify(payload))
  if (bytes.length > COMMAND_BYTES_MAX) {
    const allowed = `allowed are ${COMMAND_BYTES_MAX}`
    throw new Refusal('body-too-large', `the payload has ${bytes.length} bytes as compact JSON: ${allowed}`)
  }
  return { payload: bytes, expiresInMs }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function shown({ device: _device, payload, ...command }: Command, isWhole: boolean, now: number): object {
  // The broker says so a little later.
  const hasExpired = command.state === 'waiting' && command.expiresAt <= now
  return {
    ...command,
    ...(hasExpired && { state: 'expired', endedAt: command.expiresAt }),
    ...(isWhole && { payload: jsonOf(Buffer.from(payload).toString('utf8')) }),
  }
}
