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

/** `<account>:<version>`, and `@<epoch>` where the ledger was restored. */
export const tokenPart = (account: string, version: bigint, epoch: number): string =>
  `${account}:${version}${epoch > 1 ? `@${epoch}` : ''}`

const versionsMax = 10n ** 18n

/**
 * How far the ledger had come with an account, in one number: a version of a later epoch is later than any of
 * an earlier one. In the first epoch it is the version.
 */
export const positionOf = (version: bigint, epoch: number | null | undefined): bigint =>
  BigInt((epoch ?? 1) - 1) * versionsMax + version

export const versionAt = (position: bigint): bigint => position % versionsMax
