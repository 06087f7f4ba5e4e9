/** Owns `telltale map propose`: maps for what came and was not mapped, to be looked over by a person. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { Maps } from '../../maps/maps.ts'
import { type Proposal, propose, type UnmappedTopic } from '../../maps/proposal.ts'
import { shippedMaps } from '../../maps/shipped-maps.ts'
import { TelltaleError } from '../../platform/errors.ts'
import { createLogger } from '../../platform/logger.ts'
import { printable } from '../../platform/printable.ts'
import { loadSettings } from '../../platform/settings.ts'
import { noInstallation, openSchemas, unmappedFile } from '../installation.ts'

const TOPICS_SHOWN = 5

export function proposeCommand(): Command {
  return new Command('propose')
    .description('maps for topics on which messages came that no map is for')
    .argument('[which...]', 'topics, or names of the files that are proposed; all if none is given')
    .option('--write <directory>', 'write them there, such as config/maps, and overwrite nothing')
    .action(proposeMaps)
}

function proposeMaps(which: readonly string[], { write }: { write?: string }): void {
  const settings = loadSettings()
  if (!existsSync(settings.dataDir)) throw noInstallation(settings)
  const { schemas, mapsWatch } = openSchemas(settings, createLogger({ level: 'error', pretty: false }))
  mapsWatch.look()
  const maps = new Maps(schemas)
  const file = unmappedFile(settings)
  const all = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as UnmappedTopic[]) : []
  const topics = all.filter(({ topic }) => maps.for(topic) === undefined)
  const { proposals, others } = propose(topics, shippedMaps(), schemas.registry)
  const isMeant = (topic: UnmappedTopic) => which.length === 0 || which.includes(topic.topic)
  const meant = proposals.filter(({ name, topics }) => which.includes(name) || topics.some(isMeant))
  for (const each of which) {
    if (proposals.every(({ name, topics }) => name !== each && topics.every(({ topic }) => topic !== each))) {
      throw new TelltaleError(
        'no-map',
        `no map is proposed for ${each}: it is no topic that came without a map, nor a file of a proposal`,
      )
    }
  }
  for (const proposal of meant) {
    if (write === undefined) process.stdout.write(`${commented(proposal)}\n`)
    else writeProposal(write, proposal)
  }
  for (const { topic, messages } of others.filter(isMeant)) {
    process.stdout.write(`# ${printable(topic)}: ${messages} messages, of which no map can be guessed\n`)
  }
  if (topics.length === 0) process.stdout.write('# nothing came without a map\n')
}

function writeProposal(directory: string, proposal: Proposal): void {
  const file = join(directory, proposal.name)
  if (existsSync(file)) {
    process.stderr.write(
      `telltale: ${file} is there already, and is not overwritten: telltale map propose ${proposal.name} prints what would be in it\n`,
    )
    return
  }
  mkdirSync(directory, { recursive: true })
  writeFileSync(file, commented(proposal))
  process.stdout.write(`${file}\n`)
}

function commented({ name, text, topics }: Proposal): string {
  const shown = topics.slice(0, TOPICS_SHOWN).map(({ topic, messages }) => `#   ${printable(topic)} (${messages})\n`)
  const more = topics.length > TOPICS_SHOWN ? `#   and ${topics.length - TOPICS_SHOWN} more\n` : ''
  return `# ${name}, proposed for topics that came without a map (messages):\n${shown.join('')}${more}${text}`
}
