/** An event's definition, from which its type, validation, topic, key and documentation are derived. */
import type { Static, TObject } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { type AnyPayload, spellingsOf } from './dialect'

export type EventDefinition<Name extends string = string, Payload extends TObject = TObject> = {
  name: Name
  /** Topic without the installation's prefix. */
  topic: string
  /** Major version of the payload. Inside a major, only optional fields may be added. */
  version: number
  /** What a reader does: query for details, keep the state it carries, or its own part of a process. */
  kind: 'event notification' | 'event-carried state transfer' | 'event collaboration'
  /** One sentence. */
  description: string
  payload: Payload
  example: Static<Payload>
  /** The field that is the record's key: events of one key keep their order. */
  key: string
  /** Names that other writers give a field, beside other spellings of its own. */
  aliases?: Readonly<Record<string, string>>
  /** Written by wallets of the course, too: recognized by its fields where the record has no name. */
  isOfCourse?: boolean
  /** By major version: converts its payload to the next version. */
  upcasts?: Readonly<Record<number, (payload: AnyPayload) => AnyPayload>>
  /** `ce_type`. */
  type: string
  /** By `spellingOf` a name, the field it stands for. */
  spellings: ReadonlyMap<string, string>
  /** Compiled once, with the definition. */
  check: Pick<TypeCheck<TObject>, 'Check' | 'Errors'>
}

export function defineEvent<Name extends string, Payload extends TObject>(
  definition: Omit<EventDefinition<Name, Payload>, 'check' | 'type' | 'spellings'> & {
    key: keyof Static<Payload>
  },
): EventDefinition<Name, Payload> {
  const { name, version, payload, aliases } = definition
  return {
    ...definition,
    type: `saldo.${kebab(name)}.v${version}`,
    spellings: spellingsOf(payload, aliases),
    check: TypeCompiler.Compile(payload),
  }
}

/** The payload in the newest version; undefined where no upcasts lead there. */
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
