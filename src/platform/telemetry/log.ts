/** Log lines on standard output: JSON, or coloured text for people. */
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
    formatters: { level: (label) => ({ level: label }) },
    serializers: { error: (error) => pino.stdSerializers.err(withoutQuery(error) as Error) },
    // Removed, in case one is logged by mistake.
    redact: ['password', '*.password', 'headers.authorization', 'url'],
  }
  // Synchronous, so that the last lines before an exit are not lost.
  if (options.format === 'pretty')
    return pino(
      settings,
      pretty({ sync: true, singleLine: true, ignore: 'pid,hostname,service', translateTime: 'HH:MM:ss.l' }),
    )
  return pino(settings, pino.destination({ dest: 1, sync: true }))
}
