import { expect, test } from 'bun:test'
import { routesOf } from '../../testing/documented'

test('every route that changes the ledger has an idempotency key and a preview', () => {
  const writing = routesOf.wallet.filter(({ method }) => method !== 'GET')
  expect(writing.length).toBeGreaterThan(9)
  for (const { id, body, answers, isKeyed } of writing) {
    expect([id, isKeyed, Object.keys(body?.properties ?? {})]).toEqual([
      id,
      true,
      expect.arrayContaining(['dry_run']),
    ])
    for (const { preview, headers } of Object.values(answers)) {
      expect([id, preview?.content?.schema?.properties]).toEqual([
        id,
        expect.objectContaining({ dry_run: expect.anything(), assumed: expect.anything() }),
      ])
      // Of what would be new, neither the path nor the versions lead anywhere.
      expect(preview?.headers).toEqual([])
      // A client has no versions that a read could wait for.
      expect([id, headers.length > 0]).toEqual([id, id !== 'updateClient'])
    }
  }
})
