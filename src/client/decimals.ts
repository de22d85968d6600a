/** Amounts as exact decimal strings, taken from the text of the response: no float is in between. */
import { amountNames } from './operations.ts'

/** A member name with what its value begins with, any other string, or a bracket. */
const tokens = /"([^"\\]*(?:\\.[^"\\]*)*)"(?:(\s*:\s*)([{[]|-?\d[\d.eE+-]*)?)?|[{}[\]]/g

/** Puts the numbers of all amounts in quotes. `metadata` is the caller's own and stays as it is. */
export function quoteAmounts(json: string): string {
  let depthOfMetadata = 0
  return json.replace(tokens, (token, name?: string, colon?: string, value: string = token) => {
    if (value === '{' || value === '[') {
      if (depthOfMetadata > 0 || name === 'metadata') depthOfMetadata++
    } else if (value === '}' || value === ']') {
      if (depthOfMetadata > 0) depthOfMetadata--
    } else if (depthOfMetadata === 0 && value !== token && amountNames.includes(name ?? '')) {
      return `"${name}"${colon}"${value}"`
    }
    return token
  })
}
