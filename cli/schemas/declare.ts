/** Owns `telltale schemas types`: TypeScript for apps that use the SDK. */

import { Command } from 'commander'
import { catalogueOf } from '../../schemas/catalogue.ts'
import { declareStreams } from '../../schemas/declarations.ts'
import { registryOf } from './registry-of.ts'

export function typesCommand(): Command {
  return new Command('types')
    .description(
      'TypeScript for apps: what the readings of each stream have, for connect<Streams>() of @telltale/client',
    )
    .argument('[dir]', 'the folder of the schemas, if it is not that of the settings; maps are left out then')
    .action((directory: string | undefined) => {
      process.stdout.write(declareStreams(catalogueOf(registryOf(directory))))
    })
}
