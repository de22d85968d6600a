/**
 * What an event is: one definition from which its type, its validation, its place on the broker and
 * its documentation follow.
 */
import type { Static, TObject } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { spellingsOf } from './dialect'

/** What a reader may do with it: ask about what happened, do without asking, or do its own part. */
export const eventKinds = [
  'event notification',
  'event-carried state transfer',
  'event collaboration',
] as const
export type EventKind = (typeof eventKinds)[number]

/** A payload as it was read, of whatever version. */
export type AnyPayload = Record<string, unknown>

export type EventDefinition<Name extends string = string, Payload extends TObject = TObject> = {
  name: Name
  /** Topic without the installation's prefix. */
  topic: string
  /** Major version of the payload. Inside a major, only optional fields may be added. */
  version: number
  kind: EventKind
  /** One sentence: what it tells. */
  description: string
  payload: Payload
  example: Static<Payload>
  /** The field that is the record's key: events of one key keep their order. */
  key: keyof Static<Payload> & string
  /** What the event is about (`ce_subject`): a transaction, an account or a client. */
  subject: (payload: Static<Payload>) => string
  /** When it happened, RFC 3339. */
  time: (payload: Static<Payload>) => string | undefined
  /** Other names that a field goes by with other writers, beside other spellings of its own. */
  aliases?: Readonly<Record<string, string>>
  /** What wallets of the course write, too: known by its fields where its value says no name. */
  isOfCourse?: boolean
  /** By major version: makes a payload of it one of the next. */
  upcasts?: Readonly<Record<number, (payload: AnyPayload) => AnyPayload>>
  /** `ce_type`. */
  type: string
  /** By `spellingOf` a name, the field it means. */
  spellings: ReadonlyMap<string, string>
  /** Compiled once, when the definition is made. */
  check: TypeCheck<Payload>
}

export function defineEvent<Name extends string, Payload extends TObject>(
  definition: Omit<EventDefinition<Name, Payload>, 'check' | 'type' | 'spellings'>,
): EventDefinition<Name, Payload> {
  const { name, version, payload } = definition
  return {
    ...definition,
    type: `saldo.${kebab(name)}.v${version}`,
    spellings: spellingsOf(definition),
    check: TypeCompiler.Compile(payload),
  }
}

/** The payload in the newest version, or undefined where no way leads there from this one. */
export function upcast(
  { version, upcasts }: Pick<EventDefinition, 'version' | 'upcasts'>,
  payload: AnyPayload,
  from: number,
): AnyPayload | undefined {
  if (from === version) return payload
  const next = from < version ? upcasts?.[from] : undefined
  return next && upcast({ version, upcasts }, next(payload), from + 1)
}

const kebab = (name: string): string => name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()
