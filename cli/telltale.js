#!/usr/bin/env node
// What runs is what you read: tsx loads the TypeScript sources as they are.
import { register } from 'tsx/esm/api'

register()
await import('./main.ts')
