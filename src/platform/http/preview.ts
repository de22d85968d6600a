/**
 * Requests that only ask what would happen: `dry_run` in their bodies. What they are answered says so,
 * refusals included.
 */
import { Type } from '@sinclair/typebox'
import { closedObject } from './schemas'

export const dryRunName = 'dry_run'

/** Of a body. */
export const DryRun = Type.Optional(
  Type.Boolean({
    expected: 'must be true or false',
    description: 'Only a preview: the answer is what it would be, marked, and nothing is written.',
  }),
)

/** Of an answer. */
export const DryRunMark = Type.Literal(true, { description: 'It answers a preview: nothing was written.' })

export const AssumedVersions = Type.Array(
  closedObject('AssumedVersion', {
    account_id: Type.String({ format: 'uuid', description: 'The account.' }),
    version: Type.Integer({ minimum: 0, description: 'Its version, on which the preview was decided.' }),
  }),
  { description: 'Of a preview: the accounts of the request, as they were. Those that exist.' },
)

/** Where the request is about a client. */
export const AssumedClientVersions = Type.Array(
  closedObject('AssumedClientVersion', {
    client_id: Type.String({ format: 'uuid', description: 'The client.' }),
    version: Type.Integer({ minimum: 1, description: 'Its version, on which the preview was decided.' }),
  }),
  { description: 'Of a preview: the client, as it was.' },
)

const previews = new WeakSet<Request>()

export const markPreview = (request: Request): void => void previews.add(request)

export const isPreview = (request: Request): boolean => previews.has(request)
