/** docs/deploy.md names variables, services, volumes, files and commands that there are. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { listSettings, loadSettings } from '../../platform/settings.ts'
import { ROOT, readCompose, readText } from './compose-file.ts'

const page = readText('docs/deploy.md')
const all = (pattern: RegExp) => [...new Set([...page.matchAll(pattern)].map(([, name = '']) => name))]
const { services, volumes, name } = readCompose('docker-compose.yml', {
  INFLUX_ADMIN_PASSWORD: 'a',
  INFLUX_ADMIN_TOKEN: 'b',
  GRAFANA_ADMIN_PASSWORD: 'c',
})

test('every variable named is a setting or is read by a compose file', () => {
  const settings = listSettings(loadSettings({}), {}).map(({ variable }) => variable)
  const read = [...`${readText('docker-compose.yml')}${readText('deploy/tls.yml')}`.matchAll(/\$\{([A-Z_]+)/g)]
  const known = new Set([...settings, ...read.map(([, variable]) => variable)])
  const variables = all(/\b((?:TELLTALE|INFLUX|GRAFANA|MQTT|GATEWAY|TLS)_[A-Z_]+)\b/g)
  assert(variables.length > 10)
  for (const variable of variables) assert(known.has(variable), variable)
})

test('every service, volume and file named is there', () => {
  for (const service of all(/docker compose (?:exec|stop|start|restart|cp) (\w+)/g))
    assert(service in services, service)
  for (const volume of all(/--volume (\w+_[\w-]+):/g)) {
    assert(volume.startsWith(`${String(name)}_`) && volume.slice(String(name).length + 1) in volumes, volume)
  }
  for (const file of all(/(?:sh|--file) ([\w./-]+\.(?:sh|yml))/g)) assert(existsSync(join(ROOT, file)), file)
})

test('every telltale command shown is one', () => {
  const commands = all(/exec telltale telltale ([a-z]+ [a-z]+)/g)
  assert.deepEqual(commands, ['map try', 'map propose', 'token device', 'token app'])
  for (const command of commands) {
    const args = [join(ROOT, 'cli/telltale.js'), ...command.split(' '), '--help']
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    assert.equal(status, 0, command)
    assert.match(stdout, new RegExp(`^Usage: telltale ${command}\\b`), command)
  }
})
