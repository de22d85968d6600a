/** Schemas of values that responses of both services hold. */
import { Type } from '@sinclair/typebox'

export const Money = Type.Union([Type.Number(), Type.String({ pattern: '^-?\\d+(\\.\\d+)?$' })], {
  title: 'Money',
  description:
    'In major units of the currency: a number of at most 15 significant digits, ' +
    'beyond them the exact decimal as a string.',
  examples: [100, 10.25, '-10000000000000.00'],
})

export const Currency = Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217.', examples: ['BRL'] })

/** In UTC, with milliseconds, unless it repeats a finer one of the request. */
export const time = (description: string) =>
  Type.String({ format: 'date-time', description, examples: ['2024-01-27T17:13:55.000Z'] })

export const uuid = (description: string) =>
  Type.String({ format: 'uuid', description, examples: ['d6a41403-bbd0-11ee-8a24-0242ac120003'] })

/** The name of an API key. `who`: in which part it acted. */
export const actor = (who: string) =>
  Type.Union([Type.String(), Type.Null()], {
    description: `${who}, by the name of the API key. Null without one.`,
    examples: ['shop'],
  })

export const version = (description: string) => Type.Integer({ minimum: 0, description })
