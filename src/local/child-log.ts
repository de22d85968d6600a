/**
 * Logs of child processes: written to files, with the few lines that belong on the terminal. Writes
 * to the log directory only.
 */
import { appendFileSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

const fileBytesMax = 10_000_000
const tailLines = 8

export type ChildLog = {
  path: string
  /** The lines of one turn are appended to the file together, at its end. */
  write(line: string): void
  /** Gets each line, too, but none of the access log. */
  onLine: (line: string) => void
  /** The last lines, as `presentLogLine` shows them, since the last call. */
  takeTail(): string[]
}

/**
 * Begins a file; the one of the run before is kept beside it as `.1`, as is the first part of one
 * that grows beyond 10 MB.
 */
export function openChildLog(path: string): ChildLog {
  mkdirSync(dirname(path), { recursive: true })
  rotate(path)
  let bytes = 0
  let tail: string[] = []
  let pending = ''

  /** A full disk or a removed directory must not stop the children. */
  function tolerant(write: () => void): void {
    try {
      write()
    } catch {}
  }
  function append(): void {
    tolerant(() => appendFileSync(path, pending))
    pending = ''
  }

  const log: ChildLog = {
    path,
    onLine() {},
    write(line) {
      const lineBytes = Buffer.byteLength(line) + 1
      bytes += lineBytes
      if (bytes > fileBytesMax) {
        append()
        tolerant(() => rotate(path))
        bytes = lineBytes
      }
      if (pending === '') queueMicrotask(append)
      pending += `${line}\n`
      if (isAccess(line)) return
      tail = [...tail, line].slice(-tailLines)
      log.onLine(line)
    },
    takeTail() {
      const lines = tail.map((line) => presentLogLine(line).text)
      tail = []
      return lines
    },
  }
  return log
}

/** They would push out the lines that say why a service ended. */
const isAccess = (line: string): boolean => line.endsWith('"msg":"access"}')

function rotate(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.size) renameSync(path, `${path}.1`)
  writeFileSync(path, '')
}

/**
 * Shortens a line to what a person needs: of JSON the message and the error. Urgent, to be shown at once,
 * are warnings and errors, of PostgreSQL only what ends a process or the server: it logs every refused
 * statement, and the services count on such refusals.
 */
export function presentLogLine(line: string): { urgent: boolean; text: string } {
  const entry = parseEntry(line)
  if (entry) {
    const { level, msg, message, error, ...rest } = entry
    const cause =
      typeof error === 'object' && error !== null && 'message' in error ? error.message : (error ?? rest.err)
    const text = [msg ?? message, cause].filter((part) => typeof part === 'string' && part !== '').join(': ')
    return { urgent: ['warn', 'error', 'fatal'].includes(String(level)), text: text || line }
  }
  const postgres = /^\S+ \S+ \S+ \[\d+\] (?:\S+ )?([A-Z0-9]+): {2}(.*)$/.exec(line)
  if (postgres) {
    const [, severity = '', message] = postgres
    return { urgent: ['FATAL', 'PANIC'].includes(severity), text: `${severity}: ${message}` }
  }
  // Not a log line at all: what a crashing runtime prints.
  return { urgent: false, text: line }
}

function parseEntry(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}
