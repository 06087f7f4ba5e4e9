/** Owns device ids as arguments of commands, and what is said of a text that is none. */

import { InvalidArgumentError } from 'commander'
import { isDeviceId } from '../identity/topics.ts'
import { idOfNames } from '../maps/sparkplug/topic.ts'

export function readDeviceId(text: string): string {
  if (isDeviceId(text)) return text
  const id = idOfNames(text)
  const hint = id === undefined ? '' : `; if it is an edge node or a device of Sparkplug, its id here is ${id}`
  throw new InvalidArgumentError(`Allowed are 1 to 64 of A-Z a-z 0-9 . _ : -${hint}`)
}
