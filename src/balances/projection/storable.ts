/** Whether PostgreSQL stores a text, and returns it unchanged. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')

export const notStorable = 'has a NUL or half a surrogate pair in it'

/** For a detail, which may quote what was received. */
export const storable = (detail: string): string => detail.toWellFormed().replaceAll('\0', '\uFFFD')
