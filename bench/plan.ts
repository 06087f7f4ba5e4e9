/** Owns how much a bench run does: the full form and the short one. */

/** A fleet, and what its messages may take. */
export interface FleetShape {
  readonly devices: number
  /** Messages a second of each. */
  readonly perSecond: number
  readonly pubackP99MsMax: number
}

/** A broker on this machine that somebody has started, and that lets anybody in. */
export interface BesideBroker {
  readonly port: number
  readonly pid: number
}

export interface Plan {
  /** Rounds that count; one more runs before them, so that compiled code is measured. */
  readonly rounds: number
  readonly clients: number
  readonly messagesPerClient: number
  /** Unacknowledged messages a client. */
  readonly window: number
  readonly liveSeconds: number
  readonly liveRate: number
  readonly apps: number
  readonly fanoutMessages: number
  /** Of the case in which each reading goes alone. */
  readonly fanoutSingles: number
  readonly idleApps: number
  /** A round of the measures of many apps. */
  readonly appsSeconds: number
  /** That an app which resumes has missed. */
  readonly messagesBefore: number
  readonly activeDevices: number
  readonly idleDevices: number
  readonly fleetShapes: readonly FleetShape[]
  /** A round of each server. */
  readonly fleetSeconds: number
  /** Messages that are sent alone. */
  readonly loneMessages: number
  readonly idleSeconds: number
  /** Measured with the fleets, too. */
  readonly beside?: BesideBroker
  readonly hostileRate: number
  readonly hostileSeconds: number
  /** Of the simulator, beside a platform, and how long after their ramp. */
  readonly simulatedDevices: number
  readonly simulatedSeconds: number
  /** No single wait of the bench lasts longer. */
  readonly deadlineMs: number
}

export const FULL: Plan = {
  rounds: 5,
  clients: 50,
  messagesPerClient: 4_000,
  window: 64,
  liveSeconds: 15,
  liveRate: 5_000,
  apps: 1_000,
  fanoutMessages: 20_000,
  fanoutSingles: 300,
  idleApps: 10_000,
  appsSeconds: 10,
  messagesBefore: 100_000,
  activeDevices: 500,
  idleDevices: 10_000,
  fleetShapes: [
    { devices: 1_000, perSecond: 5, pubackP99MsMax: 12 },
    { devices: 10_000, perSecond: 1, pubackP99MsMax: 25 },
  ],
  fleetSeconds: 10,
  loneMessages: 1_000,
  idleSeconds: 20,
  hostileRate: 1_000,
  hostileSeconds: 3,
  simulatedDevices: 5_000,
  simulatedSeconds: 60,
  deadlineMs: 120_000,
}

export const QUICK: Plan = {
  ...FULL,
  rounds: 1,
  messagesPerClient: 1_000,
  liveSeconds: 4,
  fanoutMessages: 5_000,
  idleApps: 1_000,
  appsSeconds: 3,
  messagesBefore: 20_000,
  activeDevices: 50,
  idleDevices: 1_000,
  fleetShapes: [
    { devices: 100, perSecond: 5, pubackP99MsMax: 12 },
    { devices: 1_000, perSecond: 1, pubackP99MsMax: 25 },
  ],
  fleetSeconds: 3,
  loneMessages: 100,
  idleSeconds: 5,
  hostileSeconds: 2,
  simulatedDevices: 500,
  simulatedSeconds: 10,
}
