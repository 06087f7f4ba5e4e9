/**
 * Owns the reading of CPU time: that of a process, all its threads and all its descendants, from `/proc` (Linux only).
 * Always true: a descendant that has ended is counted by its parent's cutime and cstime. Resolution: one clock tick, 10 ms.
 */

import { readdirSync, readFileSync } from 'node:fs'

/** `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Node runs on; the unit of `/proc/<pid>/stat` (proc(5)). */
const TICKS_PER_SECOND = 100

/** Milliseconds of CPU, user and system, that `pid` and its descendants have used. Throws if `pid` is gone. */
export function cpuMs(pid: number): number {
  const [own = pid, ...others] = descendants(pid)
  return (ticks(own) + others.reduce((sum, each) => sum + (ticksIfThere(each) ?? 0), 0)) * (1000 / TICKS_PER_SECOND)
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

/** utime, stime, cutime and cstime: fields 14 to 17, counted from behind the name, which may hold blanks and brackets. */
function ticks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
}
