import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { RunningPlatform } from '../e2e/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { requireProgram } from '../servers/server.ts'
import { lastOf, until } from '../until.ts'

/** Node has no datagram sockets in the file system: prints each datagram as a line. */
const LISTENER = `
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
while True:
    print(listener.recv(4096).decode().replace('\\n', ' '), flush=True)
`

test('systemd is told that it is ready, that it turns, and that it stops', async (t) => {
  const python = requireProgram(t, 'python3', 'apt install python3')
  const notify = requireProgram(t, 'systemd-notify', 'apt install systemd')
  if (python === undefined || notify === undefined) return
  const socket = join(scratchDirectory(t), 'notify')
  const listener = spawn(python, ['-c', LISTENER, socket], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => listener.kill('SIGKILL'))
  await until(() => existsSync(socket))
  const lines: string[] = []
  createInterface({ input: listener.stdout }).on('line', (line) => lines.push(line))
  const told = async (wanted: string) => {
    const find = () => lines.findIndex((line) => line.includes(wanted))
    await until(
      () => find() >= 0,
      () => `${wanted} is told; what came: ${lastOf(lines)}`,
    )
    lines.splice(0, find() + 1)
  }
  const environment = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '200000' }
  const platform = await RunningPlatform.start(t, { environment })
  await told('READY=1')
  await told('WATCHDOG=1')
  await told('WATCHDOG=1')
  const [status] = await Promise.all([platform.stop(), told('STOPPING=1')])
  assert.equal(status, 0)
})

test('the unit is one that systemd takes, and shuts the process in', (t) => {
  const program = requireProgram(t, 'systemd-analyze', 'apt install systemd')
  if (program === undefined) return
  const unit = fileURLToPath(new URL('../../deploy/telltale.service', import.meta.url))
  const { stdout, stderr } = spawnSync(program, ['verify', unit], { encoding: 'utf8' })
  // It says so where node, or the installation, is not in the place that the unit names.
  const complaints = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !/is not executable/.test(line))
  assert.deepEqual(complaints, [])
  const security = spawnSync(program, ['security', '--offline=true', '--no-pager', unit], { encoding: 'utf8' })
  const [, level] = /exposure level for telltale\.service: (\d+\.\d+)/.exec(security.stdout) ?? []
  assert(Number(level) < 5, security.stdout + security.stderr)
})
