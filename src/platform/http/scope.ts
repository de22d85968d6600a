/** What a key may do. The scopes are a set: none of them implies another. */
export const scopes = ['read', 'write', 'admin', 'metrics'] as const
export type Scope = (typeof scopes)[number]

export const isScope = (text: string): text is Scope => (scopes as readonly string[]).includes(text)
