/** Traces, for services that export them. */
import type { Log } from './log'
import type { Tracing, TracingOptions } from './spans'

/** The libraries are loaded here, where they are needed: 100 ms and 15 MB. */
export async function openTracing(
  options: TracingOptions,
  { version, log }: { version: string; log: Log },
): Promise<Tracing> {
  const { createTracing } = await import('./otlp')
  const { origin } = new URL(options.url)
  log.info({ collector: origin, sampler: options.sampler }, 'exporting traces')
  const resource = { 'service.version': version, ...options.resource }
  return createTracing({ ...options, resource }, log)
}
