/**
 * Normalizes the forms in which other wallets of the course write the same events: a payload without
 * an envelope, other names for the envelope's members, fields in other spellings. Two spellings with
 * different values are refused: nothing is guessed.
 */
import type { TObject } from '@sinclair/typebox'

/** A payload as it was received, of any version. */
export type AnyPayload = Record<string, unknown>
export type Malformed = { detail: string }
export type Envelope = { name: string | undefined; payload: AnyPayload }

/** The same for a name in any letter case, with and without separators. */
export const spellingOf = (name: string): string => name.toLowerCase().replace(/[_-]/g, '')

/** `name` has precedence, since it is the course's. */
const nameMembers = ['name'] as const
const otherNameMembers = ['event', 'eventname', 'type'] as const
const payloadMembers = ['payload', 'data'] as const

/**
 * Name and payload of an envelope. Undefined without a member for the payload: the value may be a
 * payload itself.
 */
export function openEnvelope(value: Record<string, unknown>): Envelope | Malformed | undefined {
  const { Name: name, Payload: payload } = value
  const members = Object.entries(value)
  // The common case: as the course's wallet and ours write it.
  if (members.length === 2 && typeof name === 'string' && isRecord(payload)) return { name, payload }

  const payloads = membersOf(members, payloadMembers)
  if (payloads.length === 0) return undefined
  const differing = differenceOf(payloads)
  if (differing) return differing
  const [[, carried] = []] = payloads
  const named = nameOf(value)
  if (typeof named === 'object') return named
  return isRecord(carried) ? { name: named, payload: carried } : { detail: 'the payload is not an object' }
}

/** The event's name, in the members that may hold it. */
export function nameOf(value: Record<string, unknown>): string | undefined | Malformed {
  const members = Object.entries(value)
  const course = membersOf(members, nameMembers)
  const names = course.length > 0 ? course : membersOf(members, otherNameMembers)
  const [[, name] = []] = names
  return differenceOf(names) ?? (typeof name === 'string' ? name : undefined)
}

type Member = readonly [name: string, value: unknown]

/** Null counts as absent. */
const membersOf = (members: readonly Member[], names: readonly string[]): Member[] =>
  members.filter(([name, value]) => value !== null && names.includes(spellingOf(name)))

function differenceOf(members: readonly Member[]): Malformed | undefined {
  const [first, ...others] = members
  const other = first && others.find(([, value]) => !isSame(value, first[1]))
  return other && { detail: `${shortened(first[0])} and ${shortened(other[0])} are both given, and differ` }
}

/**
 * The field for each spelling. Optional times are read under their own name alone, since other
 * writers have formats of their own for them.
 */
export function spellingsOf(
  payload: TObject,
  aliases: Readonly<Record<string, string>> = {},
): ReadonlyMap<string, string> {
  const required = new Set(payload.required)
  const fields = Object.keys(payload.properties).filter(
    (field) => required.has(field) || !field.endsWith('_at'),
  )
  const names = [...fields.map((field) => [field, field] as const), ...Object.entries(aliases)]
  return new Map(names.map(([theirs, ours]) => [spellingOf(theirs), ours]))
}

export type Spellings = { spellings: ReadonlyMap<string, string>; payload: TObject }

/** The payload under our field names; the same object where nothing differs, as nearly always. */
export function withOurFields(
  payload: AnyPayload,
  { spellings, payload: schema }: Spellings,
): { ok: true; payload: AnyPayload } | ({ ok: false } & Malformed) {
  const spelled = Object.keys(payload).filter(
    (name) => !Object.hasOwn(schema.properties, name) && spellings.has(spellingOf(name)),
  )
  if (spelled.length === 0) return { ok: true, payload }
  const ours = { ...payload }
  const givenAs = new Map<string, Member>()
  for (const name of spelled) {
    const field = spellings.get(spellingOf(name)) as string
    const value = payload[name]
    delete ours[name]
    if (value === null && !schema.required?.includes(field)) continue
    const before = givenAs.get(field) ?? (Object.hasOwn(payload, field) ? [field, payload[field]] : undefined)
    if (before && !isSame(before[1], value))
      return {
        ok: false,
        detail: `/${field}: ${shortened(before[0])} and ${shortened(name)} are both given, and differ`,
      }
    givenAs.set(field, before ?? [name, value])
    ours[field] = value
  }
  return { ok: true, payload: ours }
}

/** Null in an optional field counts as absent: writers with nullable types cannot leave it out. */
export function withoutNulls(payload: AnyPayload, { payload: schema }: Spellings): AnyPayload {
  const isOptional = (field: string) =>
    Object.hasOwn(schema.properties, field) && !schema.required?.includes(field)
  return Object.fromEntries(
    Object.entries(payload).filter(([field, value]) => value !== null || !isOptional(field)),
  )
}

/** Whether a value without an envelope has all required fields of an event. */
export function isPayloadOf(value: AnyPayload, { spellings, payload: schema }: Spellings): boolean {
  const given = new Set(Object.keys(value).map((name) => spellings.get(spellingOf(name))))
  return schema.required?.every((field) => given.has(field)) ?? false
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isSame = (one: unknown, other: unknown): boolean =>
  one === other || JSON.stringify(one) === JSON.stringify(other)

const shortened = (name: string): string => (name.length > 40 ? `${name.slice(0, 40)}…` : name)
