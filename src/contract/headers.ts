/** Schemas and meaning of the header fields that both services know. */
import { Type } from '@sinclair/typebox'

/** Accounts that a token may name. */
export const tokenAccountsMax = 100

export const consistencyToken = {
  name: 'Consistency-Token',
  schema: Type.String({
    examples: ['d6a41403-bbd0-11ee-8a24-0242ac120003:4,d6a41504-bbd0-11ee-8a24-0242ac120003:4'],
  }),
} as const
