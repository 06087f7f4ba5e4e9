/**
 * Owns the promise that one process appends to a log, and claims of other kinds that one process has, and how a process is named: for each a record in the log's own
 * `meta` that names the process. LMDB lets one process at a time write, on the whole host, so of two that start at once one is second.
 *
 * Always true: the lock of a process that is gone (kill -9, power cut) is taken over; a process is told from a later one
 * with the same id by its start time, where the system gives one (Linux `/proc`). Not seen: a process in another container
 * with process ids of its own; two containers must not be given one directory.
 */

import { readFileSync } from 'node:fs'
import { LogError } from '../log-error.ts'
import type { Environment } from './environment.ts'

const KEY = 'writer'

export interface Holder {
  readonly pid: number
  readonly startedAt?: string | undefined
}

/** Takes the lock. Throws a `LogError` `log-locked` that names the process which appends to this log now. */
export async function acquireLock({ meta, durable }: Environment): Promise<void> {
  const self = thisProcess()
  await durable(
    meta.transaction(() => {
      const holder = parse(meta.get(KEY))
      if (holder !== undefined && isAlive(holder)) {
        throw new LogError('log-locked', `process ${holder.pid} appends to this log already: stop it first`)
      }
      meta.put(KEY, JSON.stringify(self))
    }),
  )
}

/** Whether this process has the claim now. */
export async function acquireClaim({ meta, durable }: Environment, name: string): Promise<boolean> {
  const known = parse(meta.get(claimKey(name)))
  // Whoever stands by asks again and again.
  if (known !== undefined && known.pid !== process.pid && isAlive(known)) return false
  const self = thisProcess()
  let isOurs = false
  await durable(
    meta.transaction(() => {
      const holder = parse(meta.get(claimKey(name)))
      isOurs = holder === undefined || holder.pid === self.pid || !isAlive(holder)
      if (isOurs) meta.put(claimKey(name), JSON.stringify(self))
    }),
  )
  return isOurs
}

export async function releaseClaim({ meta, durable }: Environment, name: string): Promise<void> {
  await durable(
    meta.transaction(() => {
      if (parse(meta.get(claimKey(name)))?.pid === process.pid) meta.remove(claimKey(name))
    }),
  )
}

const claimKey = (name: string) => `claim ${name}`

/** Gives up the lock that this process holds. */
export async function releaseLock({ meta, durable }: Environment): Promise<void> {
  await durable(meta.remove(KEY))
}

export const thisProcess = (pid = process.pid): Holder => ({ pid, startedAt: startOf(pid) })

function parse(record: unknown): Holder | undefined {
  return typeof record === 'string' ? (JSON.parse(record) as Holder) : undefined
}

export function isAlive(holder: Holder): boolean {
  const startedAt = startOf(holder.pid)
  if (startedAt !== undefined || holder.startedAt !== undefined) return startedAt === holder.startedAt
  try {
    process.kill(holder.pid, 0)
    return true
  } catch {
    return false
  }
}

/**
 * The boot's id and the process's start in clock ticks since boot (proc(5), fields 3 and 22 of stat); undefined if it is not
 * running. A zombie is not: it has ended, and only its parent has not asked yet.
 */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : `${boot}/${fields[19]}`
  } catch {
    return undefined
  }
}
