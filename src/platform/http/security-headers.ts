/**
 * Header fields of every answer, for browsers: what it may be used for (OWASP REST Security Cheat Sheet).
 * A route that says more of its own answers keeps what it says.
 */
const fixed = {
  // No page shows it in a frame. Older browsers know only this one.
  'x-frame-options': 'DENY',
  // It is what its media type says: JSON never becomes a script.
  'x-content-type-options': 'nosniff',
  // Ids in paths are not passed on to other sites.
  'referrer-policy': 'no-referrer',
  // A page of another site cannot load it, not even blindly. CORS_ORIGINS decides for `fetch`.
  'cross-origin-resource-policy': 'same-origin',
} as const

const fallback = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
} as const

export const securityHeaders = { ...fixed, ...fallback }

/** Adds them to a response. */
export function secured(response: Response): Response {
  const { headers } = response
  for (const [name, value] of fixedEntries) headers.set(name, value)
  for (const [name, value] of fallbackEntries) if (!headers.has(name)) headers.set(name, value)
  return response
}

const fixedEntries = Object.entries(fixed)
const fallbackEntries = Object.entries(fallback)
