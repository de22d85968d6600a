import type { CommittedOffsets } from './committed-offsets.ts'
import type { ErrorName } from './errors.ts'
import type { Groups } from './group.ts'
import type { Topics } from './topics.ts'

/** The client behind a request. */
export type Client = {
  /** The client id of its last request. */
  readonly id: string
  readonly address: string
  /** Called when the connection is lost, so that the request in progress stops waiting. */
  onClose: (() => void) | undefined
}

/** What a request may use: the broker's state, and the client that sent it. */
export type Context = {
  /** The address that clients connect to. */
  readonly host: string
  readonly port: number
  readonly apis: readonly { key: number; versions: readonly [lowest: number, highest: number] }[]
  readonly topics: Topics
  readonly groups: Groups
  readonly offsets: CommittedOffsets
  readonly client: Client
  /** Refuses everything that this request asks for: an injected fault, or an unsupported version. */
  readonly refusal?: ErrorName
}
