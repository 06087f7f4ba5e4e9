/** Owns what the simulator itself costs, of one process since its start. */

export interface Cost {
  readonly cpuSeconds: number
  readonly rssBytesMax: number
}

const MICROSECONDS_PER_SECOND = 1_000_000
const BYTES_PER_KIB = 1_024

export function costOfThisProcess(): Cost {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  return { cpuSeconds: (userCPUTime + systemCPUTime) / MICROSECONDS_PER_SECOND, rssBytesMax: maxRSS * BYTES_PER_KIB }
}
