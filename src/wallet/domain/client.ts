/** Owns accounts. */
export type Client = { id: string; name: string; email: string; createdAt: Date }
