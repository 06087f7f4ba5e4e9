/** Owns mounting `telltale record`: gives it the address of this installation's gateway, and its key. */

import type { Command } from 'commander'
import { recordCommand as command } from '../devices/simulator/replay/record-command.ts'
import { untilSignal } from '../platform/lifecycle.ts'
import { loadSettings } from '../platform/settings.ts'
import { openKnownIdentity } from './installation.ts'
import { gatewayUrl } from './running.ts'

/** The SDK asks for another when it is over. */
const TOKEN_TTL_MS = 86_400_000

export function recordCommand(): Command {
  const settings = loadSettings()
  return command({
    url: gatewayUrl(settings),
    appToken: async (filters) => {
      const identity = await openKnownIdentity(settings)
      try {
        return await identity.signApp(filters, TOKEN_TTL_MS)
      } finally {
        await identity.stop()
      }
    },
    output: process.stdout,
    errorOutput: process.stderr,
    untilInterrupted: untilSignal,
    exit: (status) => {
      process.exitCode = status
    },
  })
}
