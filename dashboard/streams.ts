/** Owns what is known of the streams: their columns and units. Asked again now and then, for schemas come while the page is open. */

import { computed, signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Column, StreamSchema } from './answers.ts'
import { useAnswer } from './gateway.ts'

const EVERY_MS = 30_000

const listed = signal<readonly StreamSchema[] | undefined>(undefined)

export const areStreamsKnown = computed(() => listed.value !== undefined)

/** None until they are known. */
export const streams = computed<ReadonlyMap<string, StreamSchema>>(
  () => new Map(listed.value?.map((stream) => [stream.stream, stream])),
)

/** Of the whole page, once. */
export function useStreams(): void {
  const { value } = useAnswer<{ readonly schemas: readonly StreamSchema[] }>('v1/schemas', EVERY_MS)
  useEffect(() => {
    if (value !== undefined) listed.value = value.schemas
  }, [value])
}

export const columnOf = (stream: string, name: string): Column | undefined =>
  streams.value.get(stream)?.columns.find((column) => column.name === name)
