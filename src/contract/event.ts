/** What an event is: one definition from which its type, its validation and its place on the broker follow. */
import type { Static, TObject } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'

export type EventDefinition<Name extends string = string, Payload extends TObject = TObject> = {
  name: Name
  /** Topic without the installation's prefix. */
  topic: string
  /** Major version of the payload. Inside a major, only optional fields may be added. */
  version: number
  payload: Payload
  /** Record key: events of one key keep their order. */
  key: (payload: Static<Payload>) => string
  /** What the event is about (`ce_subject`): a transaction, an account or a client. */
  subject: (payload: Static<Payload>) => string
  /** When it happened, RFC 3339. */
  time: (payload: Static<Payload>) => string | undefined
  /** Compiled once, when the definition is made. */
  check: TypeCheck<Payload>
}

export function defineEvent<Name extends string, Payload extends TObject>(
  definition: Omit<EventDefinition<Name, Payload>, 'check'>,
): EventDefinition<Name, Payload> {
  return { ...definition, check: TypeCompiler.Compile(definition.payload) }
}
