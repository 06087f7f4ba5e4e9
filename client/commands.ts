/**
 * Owns `/v1/devices/{id}/commands` for apps: what a device is asked to do, what became of it, and taking it back.
 *
 * Always true: a command that may have been taken is not sent again by itself: when no answer came, `commands` shows whether it was.
 */

import type { Http } from './http.ts'
import type { Names } from './options.ts'

export interface Command {
  readonly id: string
  /** `waiting`: it never left; `sent`: it may have arrived; `acknowledged`: the device has it; the others: it is not sent any more. */
  readonly state: 'waiting' | 'sent' | 'acknowledged' | 'expired' | 'refused' | 'cancelled'
  /** Absent if the token may only read the device's telemetry. */
  readonly payload?: unknown
  /** Times are milliseconds since 1970-01-01T00:00Z. */
  readonly createdAt: number
  readonly expiresAt: number
  readonly sentAt?: number
  readonly sends: number
  /** When it was over. */
  readonly endedAt?: number
  /** Why it was refused. */
  readonly reason?: string
}

export interface CommandsOptions {
  readonly signal?: AbortSignal | undefined
}

export interface SendCommandOptions extends CommandsOptions {
  /** How long it may wait for the device, such as `10m`; an hour unless told. */
  readonly expiresIn?: string | undefined
}

export const COMMANDS: Names<CommandsOptions> = { signal: true }
export const SEND_COMMAND: Names<SendCommandOptions> = { expiresIn: true, signal: true }

const pathOf = (device: string) => `/v1/devices/${encodeURIComponent(device)}/commands`

export async function sendCommand(
  http: Http,
  device: string,
  payload: unknown,
  { expiresIn, signal }: SendCommandOptions,
): Promise<string> {
  const body = JSON.stringify({ payload, expiresIn })
  return (await http.change<{ readonly id: string }>('POST', pathOf(device), body, signal)).id
}

export async function readCommands(http: Http, device: string, { signal }: CommandsOptions): Promise<Command[]> {
  return (await http.get<{ readonly commands: Command[] }>(pathOf(device), {}, signal)).commands
}

export function cancelCommand(http: Http, device: string, id: string, { signal }: CommandsOptions): Promise<Command> {
  return http.change<Command>('DELETE', `${pathOf(device)}/${encodeURIComponent(id)}`, undefined, signal)
}
