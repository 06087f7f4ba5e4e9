/** Owns running a proxy before a platform, and the configurations that docs/deploy.md has for one. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { readText } from './compose-file.ts'

/** The block of that kind on the page. */
export function documented(kind: string): string {
  const block = new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\``, 'ms').exec(readText('docs/deploy.md'))?.[1]
  return block ?? assert.fail(`docs/deploy.md has no ${kind}`)
}

/** Runs a program until the test ends; resolves when `port` takes connections. */
export async function runProxy(t: TestContext, port: number, program: string, ...args: string[]): Promise<void> {
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr?.on('data', (data) => {
    said += data
  })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGTERM')
    await ended
  })
  await until(async () => {
    assert.equal(child.exitCode, null, said)
    const socket = connect(port, '127.0.0.1')
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    return isOpen
  })
}

/** With `text` for its configuration, which is to have it listen on `port`. */
export async function startNginx(
  t: TestContext,
  program: string,
  port: number,
  text: string,
  module?: string,
): Promise<void> {
  const directory = scratchDirectory(t)
  const file = join(directory, 'nginx.conf')
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(' ')
  const own = `${module === undefined ? '' : `load_module ${module};\n`}daemon off; pid ${directory}/pid; error_log stderr; events {}\n`
  writeFileSync(file, own + text.replace('http {', `http { access_log off; ${places}\n`))
  await runProxy(t, port, program, '-e', 'stderr', '-p', directory, '-c', file)
}
