import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { openDocuments } from '../../balances/console/documents'
import { hops, linkOf } from './hops.ts'

test('each hop leads to a heading of the documents', () => {
  const documents = openDocuments(join(import.meta.dir, '../../../docs'))
  for (const hop of Object.values(hops)) {
    const [, name = '', anchor] = /^\/docs\/([a-z]+)#(.+)$/.exec(linkOf(hop)) ?? []
    expect([hop.name, documents.find(name)?.text.includes(`id="${anchor}"`)]).toEqual([hop.name, true])
  }
})
