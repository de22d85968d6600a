/**
 * The forms in which other wallets of the course write the same events, brought into ours: the
 * payload without an envelope, other names for the envelope's members, fields in other spellings.
 * Pure. Nothing is chosen between two spellings that say different things.
 */
import type { AnyPayload, EventDefinition } from './define-event'

export type Fault = { detail: string }
export type Envelope = { name: string | undefined; payload: AnyPayload }

/** Two names are the same in any letter case, with or without separators. */
export const spellingOf = (name: string): string => name.toLowerCase().replace(/[_-]/g, '')

/**
 * Members that name the event, and members that carry the payload. Of the names the first has
 * precedence, since it is the course's.
 */
const nameMembers = ['name'] as const
const otherNameMembers = ['event', 'eventname', 'type'] as const
const payloadMembers = ['payload', 'data'] as const

/**
 * Name and payload of a value, however its members are called. Without a payload among its members
 * the value may be one itself: undefined.
 */
export function openEnvelope(value: Record<string, unknown>): Envelope | Fault | undefined {
  const { Name: name, Payload: payload } = value
  const members = Object.entries(value)
  // As the course and we ourselves write it.
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

/** What a value says it is called. */
export function nameOf(value: Record<string, unknown>): string | undefined | Fault {
  const members = Object.entries(value)
  const course = membersOf(members, nameMembers)
  const names = course.length > 0 ? course : membersOf(members, otherNameMembers)
  const [[, name] = []] = names
  return differenceOf(names) ?? (typeof name === 'string' ? name : undefined)
}

type Member = readonly [name: string, value: unknown]

/** Null is absence. */
const membersOf = (members: readonly Member[], names: readonly string[]): Member[] =>
  members.filter(([name, value]) => value !== null && names.includes(spellingOf(name)))

function differenceOf(members: readonly Member[]): Fault | undefined {
  const [first, ...others] = members
  const other = first && others.find(([, value]) => !isSame(value, first[1]))
  return other && { detail: `${shortened(first[0])} and ${shortened(other[0])} are both given, and differ` }
}

/**
 * Which field each spelling means. Optional times go by their own name alone: their form with other
 * writers is anybody's guess.
 */
export function spellingsOf({
  payload,
  aliases = {},
}: Pick<EventDefinition, 'payload' | 'aliases'>): ReadonlyMap<string, string> {
  const required = new Set(payload.required)
  const fields = Object.keys(payload.properties).filter(
    (field) => required.has(field) || !field.endsWith('_at'),
  )
  return new Map(
    [...fields.map((field) => [field, field] as const), ...Object.entries(aliases)].map(([theirs, ours]) => [
      spellingOf(theirs),
      ours,
    ]),
  )
}

export type Spellings = Pick<EventDefinition, 'spellings' | 'payload'>

/** The payload with its fields called as ours. The same object where they are, as nearly always. */
export function withOurFields(
  payload: AnyPayload,
  { spellings, payload: schema }: Spellings,
): { ok: true; payload: AnyPayload } | ({ ok: false } & Fault) {
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
        detail: `/${field}: is given as ${shortened(before[0])} and as ${shortened(name)}, which differ`,
      }
    givenAs.set(field, before ?? [name, value])
    ours[field] = value
  }
  return { ok: true, payload: ours }
}

/**
 * Whether a value without an envelope is the payload of an event: it has all the fields that the
 * event cannot be without.
 */
export function isPayloadOf(value: AnyPayload, { spellings, payload: schema }: Spellings): boolean {
  const given = new Set(Object.keys(value).map((name) => spellings.get(spellingOf(name))))
  return schema.required?.every((field) => given.has(field)) ?? false
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isSame = (one: unknown, other: unknown): boolean =>
  one === other || JSON.stringify(one) === JSON.stringify(other)

const shortened = (name: string): string => (name.length > 40 ? `${name.slice(0, 40)}…` : name)
