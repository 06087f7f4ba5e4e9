/** Runs a real Mosquitto (Debian's package `mosquitto`), anonymous and without persistence: the peer broker. */

import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { findProgram, freePort, run, type TestServer } from './server.ts'

export interface Mosquitto extends TestServer {
  readonly port: number
  readonly pid: number
}

/** `extra` lines are added to its configuration. On this port, if it is one that was started before. */
export async function startMosquitto(extra: readonly string[] = [], given?: number): Promise<Mosquitto> {
  const program = findProgram('mosquitto', 'apt install mosquitto')
  const port = given ?? (await freePort())
  const server = await run({
    program,
    args: async (directory) => {
      const file = join(directory, 'mosquitto.conf')
      // Without `user root` it would drop to a user that cannot read its directory when the tests run as root.
      const own = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'persistence false', 'user root']
      // It takes no line twice, but for those of listeners.
      const nameOf = (line: string) => line.split(' ', 1)[0]
      const isReplaced = (line: string) =>
        nameOf(line) !== 'listener' && extra.some((other) => nameOf(other) === nameOf(line))
      const lines = [...own.filter((line) => !isReplaced(line)), ...extra]
      await writeFile(file, `${lines.join('\n')}\n`)
      return ['-c', file]
    },
    ready: () => accepts(port),
  })
  return { url: `mqtt://127.0.0.1:${port}`, port, pid: server.pid, stop: server.stop }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(socket.destroy() !== undefined))
    socket.once('error', () => resolve(false))
  })
}
