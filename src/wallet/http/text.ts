/**
 * Texts that callers of the wallet send. They are stored and shown as they were
 * sent; lengths count characters, not UTF-16 units.
 */
import { Type } from '@sinclair/typebox'
import { documentedAs } from '../../platform/http/schemas'

/**
 * Controls, line breaks, and what turns the direction of all that follows: a list with such a name
 * in it would show something else.
 */
const hidden = String.raw`\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\ufffe\uffff`
/** Anything that leaves a mark: no blanks, no joiners, no fillers, no accents without a letter. */
const visible = String.raw`[^\p{Z}\p{M}\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]`

/** `source` is matched as a whole, character by character. */
const text = (
  source: string,
  { min = 0, max, ...documented }: { min?: number; max: number; format?: string; description?: string },
  expected: string,
) =>
  // A character has one UTF-16 unit or two: what is longer than that need not be looked at.
  Type.RegExp(new RegExp(`^${source}$`, 'su'), {
    maxLength: 2 * max,
    expected,
    [documentedAs]: { type: 'string', ...(min > 0 && { minLength: min }), maxLength: max, ...documented },
  })

export const nameMax = 255
export const Name = text(
  `(?=.*${visible})[^${hidden}]{1,${nameMax}}`,
  { min: 1, max: nameMax },
  `must be a name of 1 to ${nameMax} visible characters, without line breaks and other controls`,
)

/** May have several lines, and may be empty. */
export const Reference = text(
  `(?=$|.*${visible})(?:[\\t\\n\\r]|[^${hidden}]){0,255}`,
  { max: 255, description: "A text of the caller's own, such as an order number. At most 255 characters." },
  'must be a text of at most 255 characters, visible ones among them, ' +
    'without controls other than tabs and line breaks',
)

const local = String.raw`[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800@"(),:;<>[\]\\]{1,64}`
const label = String.raw`[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}-]{0,61}[\p{L}\p{N}\p{M}])?`
export const Email = text(
  `(?=.{3,254}$)${local}@(?:localhost|${label}(?:\\.${label})+)`,
  { min: 3, max: 254, format: 'email' },
  'must be an e-mail address such as eva@example.com, of at most 254 characters',
)

/** In characters. */
export const lengthOf = (value: string): number => [...value].length
