/**
 * Owns what is known of the commands to devices: what an app asked for, durable before it is told so, until the device has acknowledged it
 * and for a while longer. The gateway adds and cancels, the broker says what became of them, in one process or in two.
 *
 *   add --> waiting --sent--> sent --acknowledged--> acknowledged
 *              |               |--refused----------> refused
 *              |--expired------+-------------------> expired --acknowledged--> acknowledged   (it was sent, and came late)
 *              '--cancelled----+-------------------> cancelled --acknowledged--> acknowledged (likewise)
 *
 * Always true: what is `waiting` has never left, so that to cancel it is a promise; `sent` is durable before the first byte leaves, so what
 * is `sent` may or may not have arrived. A device's commands are in the order in which they were added.
 * Bounds: `COMMANDS_PER_DEVICE_MAX` and `COMMANDS_PER_DEVICE_BYTES_MAX` of one device that are not over, `ENDED_PER_DEVICE_MAX` that are; of all
 * `COMMANDS_MAX` and `COMMANDS_BYTES_MAX`. Full: what is over longest goes; if nothing is, one more is refused.
 */

/** Bytes of one command's payload; a larger one is refused. */
export const COMMAND_BYTES_MAX = 64 * 1024
/** Commands of one device that are not over, and their bytes; one more is refused with `device-commands-full`. */
export const COMMANDS_PER_DEVICE_MAX = 100
export const COMMANDS_PER_DEVICE_BYTES_MAX = 256 * 1024
/** Commands of one device that are over, kept to be looked at; the oldest goes. */
export const ENDED_PER_DEVICE_MAX = 20
/** Commands of all devices, over or not, and their bytes; the one that is over longest goes, or else one more is refused with `commands-full`. */
export const COMMANDS_MAX = 100_000
export const COMMANDS_BYTES_MAX = 64 * 1024 * 1024
/** How long a command may wait. */
export const COMMAND_EXPIRY_MS_MIN = 1_000
export const COMMAND_EXPIRY_MS_MAX = 30 * 86_400_000

export const COMMAND_STATES = ['waiting', 'sent', 'acknowledged', 'expired', 'refused', 'cancelled'] as const
export type CommandState = (typeof COMMAND_STATES)[number]

export interface NewCommand {
  readonly device: string
  /** JSON text, as the device gets it. */
  readonly payload: Uint8Array
  /** Then it is not sent any more, milliseconds since 1970-01-01T00:00Z. */
  readonly expiresAt: number
}

export interface Command extends NewCommand {
  /** Opaque; never given twice, nor by another log. */
  readonly id: string
  readonly state: CommandState
  readonly createdAt: number
  /** When it was sent first, and how often. */
  readonly sentAt?: number
  readonly sends: number
  /** When it was over: `acknowledged`, `expired`, `refused`, `cancelled`, or `sent` at QoS 0, to which no acknowledgement comes. */
  readonly endedAt?: number
  /** Why it was refused. */
  readonly reason?: string
}

export interface CommandChange {
  readonly id: string
  readonly state: Exclude<CommandState, 'waiting' | 'expired'>
  /** Of `sent`: at QoS 0, so that it is over. */
  readonly isLast?: boolean
  readonly reason?: string
}

/** How many there ever were, by what they are now. */
export type CommandCounts = Readonly<Record<CommandState, number>> & {
  /** Not over. */
  readonly open: number
}

export interface Commands {
  /** Resolves when it is durable. Rejects with a `LogError`: `device-commands-full`, `commands-full`, `log-full`. */
  add(command: NewCommand): Promise<Command>
  /** The device's, the oldest first. */
  of(device: string): readonly Command[]
  /** Changes what may become so, in one transaction; resolves with what was changed when that is durable. */
  change(device: string, changes: readonly CommandChange[]): Promise<readonly Command[]>
  /** Ends those whose time is over, some at a time; resolves with them when that is durable. */
  expire(): Promise<readonly Command[]>
  /** When the next one's time is over; undefined if none is open. */
  nextExpiry(): number | undefined
  /** Devices with a command that was added or cancelled from now on, by whichever process, until `signal` aborts; undefined: so many that some were not told. */
  follow(signal: AbortSignal): AsyncIterable<string | undefined>
  counts(): CommandCounts
}

export const isOver = ({ endedAt }: Pick<Command, 'endedAt'>): boolean => endedAt !== undefined

/** What a command becomes; undefined if it cannot become that. */
export function changed(command: Command, { state, isLast = false, reason }: CommandChange, at: number) {
  const isOpen = !isOver(command)
  switch (state) {
    case 'sent': {
      if (!isOpen || command.expiresAt <= at) return undefined
      const { sentAt = at, sends } = command
      return { ...command, state, sentAt, sends: sends + 1, ...(isLast && { endedAt: at }) }
    }
    case 'acknowledged': {
      const mayCome = isOpen || command.state === 'expired' || command.state === 'cancelled'
      return command.sentAt !== undefined && mayCome ? { ...command, state, endedAt: at } : undefined
    }
    case 'refused':
      return isOpen && command.sentAt !== undefined
        ? { ...command, state, endedAt: at, ...(reason !== undefined && { reason }) }
        : undefined
    case 'cancelled':
      return isOpen ? { ...command, state, endedAt: at } : undefined
  }
}
