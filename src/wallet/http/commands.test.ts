import { expect, test } from 'bun:test'
import type { TSchema } from '@sinclair/typebox'
import { routesOf } from '../../testing/documented'

/** The names of the members of each form. */
const membersOf = (schema?: TSchema): string[][] =>
  ((schema?.anyOf ?? [schema]) as TSchema[]).map((form) => Object.keys(form?.properties ?? {}))

test('every route that changes the ledger has a preview, but the erasure, which is final', () => {
  const writing = routesOf.wallet.filter(({ method, id }) => method !== 'GET' && id !== 'erasePersonalData')
  expect(writing.length).toBeGreaterThan(9)
  for (const { id, body, answers } of writing) {
    for (const members of membersOf(body))
      expect([id, members]).toEqual([id, expect.arrayContaining(['dry_run'])])
    for (const { preview } of Object.values(answers)) {
      for (const members of membersOf(preview?.content?.schema))
        expect([id, members]).toEqual([id, expect.arrayContaining(['dry_run', 'assumed'])])
      // Of what would be new, neither the path nor the versions lead anywhere.
      expect(preview?.headers).toEqual([])
    }
  }
})
