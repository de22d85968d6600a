/** Log lines on standard output: JSON, or coloured text for people. */
import { isMainThread } from 'node:worker_threads'
import pino from 'pino'
import pretty from 'pino-pretty'
import { withoutQuery } from '../fault'

export type Log = Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error'> & {
  child(fields: Record<string, unknown>): Log
}

export function createLog(options: { service: string; level: string; format: 'json' | 'pretty' }): Log {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { service: options.service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }), log: withoutInnerPasswords },
    serializers: { error: (error) => withoutPassword(pino.stdSerializers.err(withoutQuery(error) as Error)) },
    // Removed, in case one is logged by mistake.
    redact: { paths: ['password', 'headers.authorization', 'url'], censor: redacted },
  }
  if (options.format === 'pretty')
    return pino(
      settings,
      pretty({ sync: true, singleLine: true, ignore: 'pid,hostname,service', translateTime: 'HH:MM:ss.l' }),
    )
  // A worker may be ended by the main thread at any time.
  if (!isMainThread) return pino(settings, pino.destination({ dest: 1, sync: true }))
  gathered ??= gatherLines()
  return pino(settings, gathered)
}

/** Shared by all loggers of the process. */
let gathered: ReturnType<typeof gatherLines> | undefined

const warn = pino.levels.values.warn ?? 40

/**
 * Writes the lines of a turn of the event loop at once, since a write takes longer than all else for a line.
 * Warnings and errors are written at once, and what is left at the exit.
 */
function gatherLines(): pino.DestinationStream & { lastLevel: number } {
  const destination = pino.destination({ dest: 1, sync: true })
  let lines = ''
  let isScheduled = false
  const flush = () => {
    isScheduled = false
    if (lines === '') return
    destination.write(lines)
    lines = ''
  }
  process.on('exit', flush)
  return {
    // Set by pino, which is asked for it so.
    lastLevel: 0,
    [Symbol.for('pino.metadata')]: true,
    write(line: string) {
      lines += line
      if (this.lastLevel >= warn) flush()
      else if (!isScheduled) {
        isScheduled = true
        setImmediate(flush)
      }
    },
  } as pino.DestinationStream & { lastLevel: number }
}

const redacted = '[Redacted]'

/** The library's own redaction of `*.password` takes half as long again as all else for a line. */
function withoutInnerPasswords(fields: Record<string, unknown>): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined
  for (const name in fields) {
    const value = fields[name]
    // An error has its turn in its serializer.
    const shown = value instanceof Error ? value : withoutPassword(value)
    if (shown === value) continue
    copy ??= { ...fields }
    copy[name] = shown
  }
  return copy ?? fields
}

const withoutPassword = <T>(value: T): T =>
  typeof value === 'object' && value !== null && 'password' in value
    ? { ...value, password: redacted }
    : value
