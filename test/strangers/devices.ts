/**
 * Owns which libraries of other people's are tried, each by a device in a folder beside this file, and how it is built and run.
 * What is built is in `.strangers`, which Git does not see: `npm run strangers` builds it, which takes a minute or two the first
 * time. Python's needs no building.
 *
 * Always true: the versions are those of `go.mod` and `Cargo.lock`; Python's is the one that is installed.
 */

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram, MissingServer } from '../servers/server.ts'
import { ROOT } from '../tree.ts'

const BUILT = join(ROOT, '.strangers')
const HERE = join(ROOT, 'test/strangers')

interface BuiltDevice {
  readonly tool: string
  readonly args: readonly string[]
  /** Below this folder; its own folder is where it is built. */
  readonly source: string
  /** Below `.strangers`. */
  readonly binary: string
  /** It is built in a copy of its folder, below `.strangers`. */
  readonly isCopied?: true
  /** What runs it, if it is not the binary itself. */
  readonly command?: readonly [file: string, ...args: string[]]
}

const BUILT_DEVICES: Readonly<Record<string, BuiltDevice>> = {
  'paho Go': {
    tool: 'go',
    args: ['build', '-o', join(BUILT, 'paho-go'), '.'],
    source: 'paho-go/main.go',
    binary: 'paho-go',
  },
  rumqttc: {
    tool: 'cargo',
    args: ['build', '--quiet', '--locked', '--target-dir', join(BUILT, 'rust')],
    source: 'rumqttc/src/main.rs',
    binary: 'rust/debug/rumqttc-device',
  },
  'sparkplug-client': {
    tool: 'npm',
    args: ['ci', '--ignore-scripts', '--silent'],
    source: 'sparkplug-client/device.js',
    binary: 'sparkplug-client/node_modules/.package-lock.json',
    isCopied: true,
    command: [process.execPath, join(BUILT, 'sparkplug-client/device.js')],
  },
}

export const PAHO_PYTHON = 'paho Python'
/** An edge node of Sparkplug B. */
export const SPARKPLUG_CLIENT = 'sparkplug-client'
/** Those that speak MQTT 5. */
export const DEVICES: readonly string[] = ['paho Go', 'rumqttc', PAHO_PYTHON]

/** Says of each whether it is built; false if one is not whose tool is there. */
export function buildAll(): boolean {
  let isWhole = true
  for (const [name, { tool, args, source, isCopied }] of Object.entries(BUILT_DEVICES)) {
    try {
      const folder = source.split('/')[0] ?? ''
      const cwd = join(isCopied ? BUILT : HERE, folder)
      if (isCopied) cpSync(join(HERE, folder), cwd, { recursive: true })
      const { status } = spawnSync(findProgram(tool, `for ${name}`), args, { cwd, stdio: 'inherit' })
      console.log(`${status === 0 ? 'built' : 'NOT BUILT'}  ${name}`)
      isWhole &&= status === 0
    } catch (error) {
      if (!(error instanceof MissingServer)) throw error
      console.log(`left out   ${name}: ${error.message}`)
    }
  }
  return isWhole
}

/** The command that runs a device. Throws a `MissingServer` for one that is not built, or of another source than is here. */
export function commandOf(name: string): readonly [file: string, ...args: string[]] {
  if (name === PAHO_PYTHON) return [pythonWithPaho(), join(HERE, 'paho-python/device.py')]
  const device = BUILT_DEVICES[name]
  const binary = join(BUILT, device?.binary ?? '')
  const source = join(HERE, device?.source ?? '')
  if (device === undefined || !existsSync(binary) || statSync(binary).mtimeMs < statSync(source).mtimeMs) {
    throw new MissingServer(`needs the device of ${name} (npm run strangers)`)
  }
  return device.command ?? [binary]
}

/** One that has 2.0 of the library or later. */
export function pythonWithPaho(): string {
  for (const python of new Set([findProgram('python3', 'apt install python3'), '/usr/bin/python3'])) {
    if (spawnSync(python, ['-c', 'import paho.mqtt.enums']).status === 0) return python
  }
  throw new MissingServer('needs paho-mqtt of Python, 2.0 or later (pip install paho-mqtt)')
}
