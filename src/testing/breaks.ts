/** What may become of a schema once it is released. */

export type JsonSchema = Readonly<Record<string, unknown>>

/**
 * What no longer holds of a released schema, each with its field. Optional fields may be added and
 * texts changed, and nothing else: narrower, and what was recorded can no longer be read; wider,
 * and the readers of yesterday refuse what is written today.
 */
export function breaks(released: JsonSchema, current: JsonSchema, field?: string): string[] {
  const [was, is] = [partsOf(released), partsOf(current)]
  const place = (name: string) => (field === undefined ? name : `${field}.${name}`)
  const found: string[] = []
  for (const [name, schema] of Object.entries(was.properties)) {
    const kept = is.properties[name]
    found.push(...(kept ? breaks(schema, kept, place(name)) : [`${place(name)} is gone`]))
    if (kept && was.required.includes(name) && !is.required.includes(name))
      found.push(`${place(name)} is optional now`)
  }
  for (const name of is.required)
    if (!was.required.includes(name)) found.push(`${place(name)} is required now`)
  for (const keyword of Object.keys({ ...was.others, ...is.others })) {
    const [before, now] = [was.others[keyword], is.others[keyword]]
    if (Bun.deepEquals(before, now)) continue
    found.push(
      `${field ?? 'the payload'}: ${keyword} was ${JSON.stringify(before)} and is ${JSON.stringify(now)}`,
    )
  }
  return found
}

/** Keywords that nothing is checked by. */
const annotations = new Set(['$schema', '$id', 'title', 'description', 'default', 'examples'])

function partsOf({ properties = {}, required = [], ...rest }: JsonSchema) {
  const others = JSON.stringify(rest, (keyword, value) => (annotations.has(keyword) ? undefined : value))
  return {
    properties: properties as Record<string, JsonSchema>,
    required: required as string[],
    others: JSON.parse(others) as JsonSchema,
  }
}
