import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { deviceNames } from '../../bench/accept.ts'
import { compileFleetLoad } from '../../bench/fleet-load.ts'
import { FleetRuns } from '../../bench/fleet-runs.ts'
import { FleetServer } from '../../bench/fleet-server.ts'
import { requireProgram } from '../servers/server.ts'

test('a run of the whole path ends when all is stored and every app has it, and says what both took', async (t) => {
  if (requireProgram(t, 'cc', 'apt install gcc libc6-dev') === undefined) return
  const directory = mkdtempSync(join(tmpdir(), 'telltale-fleet-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const devices = deviceNames(10)
  const program = await compileFleetLoad(directory)
  const server = await FleetServer.wholePath({ program, directory, devices, deadlineMs: 60_000 })
  t.after(() => server.stop())
  const runs = new FleetRuns(devices, directory)
  for (let run = 0; run < 2; run++) {
    const { load, live, cpuUs, memory } = await server.run(runs.make(200, 20))
    assert.equal(load.acknowledged, 200)
    assert(live !== undefined && live.p50Ms > 0 && live.p99Ms >= live.p50Ms, JSON.stringify(live))
    assert(cpuUs > 0 && memory > 0)
  }
})
