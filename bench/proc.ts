/**
 * Owns what `/proc` tells of a process (Linux only): its CPU time, its wake-ups, its memory, its open files. Every function throws if
 * the process is gone.
 */

import { readdirSync, readFileSync } from 'node:fs'

/** `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Node runs on; the unit of `/proc/<pid>/stat` (proc(5)). */
const TICKS_PER_SECOND = 100
const MS_PER_TICK = 1000 / TICKS_PER_SECOND

/**
 * Milliseconds of CPU, user and system, that `pid`, all its threads and its descendants have used; a descendant that has
 * ended is counted by its parent's cutime and cstime. Resolution: one clock tick, 10 ms.
 */
export function cpuMs(pid: number): number {
  const [own = pid, ...others] = descendants(pid)
  return (ticks(own) + others.reduce((sum, each) => sum + (ticksIfThere(each) ?? 0), 0)) * MS_PER_TICK
}

/** How often each thread of `pid` has waited for something so far (voluntary context switches), by thread id. */
export function waits(pid: number): Map<string, number> {
  const found = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const status = statusIfThere(pid, thread)
    const match = /^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)
    if (match !== null) found.set(thread, Number(match[1]))
  }
  return found
}

export interface ThreadCpu {
  /** Milliseconds of CPU, outside the kernel and within. */
  readonly user: number
  readonly system: number
}

/** What each thread of `pid` has used so far, by thread id; the main thread's is `pid`. Resolution: 10 ms. */
export function threadCpu(pid: number): Map<number, ThreadCpu> {
  const found = new Map<number, ThreadCpu>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const [user = 0, system = 0] = ticksOf(`/proc/${pid}/task/${thread}/stat`).map((each) => each * MS_PER_TICK)
    found.set(Number(thread), { user, system })
  }
  return found
}

export interface Memory {
  /** Bytes of its own: heap, stacks, buffers (RssAnon). */
  readonly own: number
  /** Bytes of mapped files that are in memory, those of the log among them (RssFile); the kernel takes them back at will. */
  readonly mapped: number
}

/** Resident memory of `pid`, without its descendants, from `/proc/<pid>/status` (proc(5)). */
export function memory(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const bytes = (name: string) => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)
    if (match === null) throw new Error(`process ${pid} has no memory: it is gone`)
    return Number(match[1]) * 1024
  }
  return { own: bytes('RssAnon'), mapped: bytes('RssFile') }
}

/** How many file descriptors `pid` has open. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** `pid` first, then its children and theirs. */
export function descendants(pid: number): number[] {
  const found = [pid]
  for (let index = 0; index < found.length; index++) {
    try {
      for (const thread of readdirSync(`/proc/${found[index]}/task`)) {
        const children = readFileSync(`/proc/${found[index]}/task/${thread}/children`, 'utf8').trim()
        if (children !== '') found.push(...children.split(' ').map(Number))
      }
    } catch {
      // It has ended in the meantime; its time is in its parent's cutime.
    }
  }
  return found
}

function ticksIfThere(pid: number): number | undefined {
  try {
    return ticks(pid)
  } catch {
    return undefined
  }
}

/** Empty when the thread has ended in the meantime. */
function statusIfThere(pid: number, thread: string): string {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1')
  } catch {
    return ''
  }
}

const ticks = (pid: number) => ticksOf(`/proc/${pid}/stat`).reduce((sum, each) => sum + each, 0)

/** utime, stime, cutime and cstime: fields 14 to 17, counted from behind the name, which may hold blanks and brackets. */
function ticksOf(file: string): number[] {
  const stat = readFileSync(file, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).map(Number)
}
