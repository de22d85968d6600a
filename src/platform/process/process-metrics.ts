/** What the process itself shows: its build, its use of the machine, and how late its event loop is. */
import { readdirSync } from 'node:fs'
import { createMetrics, defineMetrics } from '../telemetry/metrics'
import { createDiskPart } from './disk-metrics'
import type { Part } from './service'

export const processMetrics = defineMetrics({
  build: {
    type: 'gauge',
    name: 'saldo_build_info',
    help: 'Always 1.',
    labels: { service: '`wallet` or `balances`', version: 'of Saldo', runtime: 'the version of Bun' },
  },
  serving: {
    type: 'gauge',
    name: 'saldo_serving',
    help: '1 once the service has started, until it takes no request any more.',
  },
  loopDelay: {
    type: 'histogram',
    name: 'saldo_event_loop_delay_seconds',
    help: 'How late a timer is that is due ten times a second: for so long nothing else was done.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  },
  cpu: {
    type: 'counter',
    name: 'process_cpu_seconds_total',
    help: 'Processor time of the process, of user and system.',
  },
  memory: {
    type: 'gauge',
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the process.',
  },
  started: {
    type: 'gauge',
    name: 'process_start_time_seconds',
    help: 'When the process started, in seconds since 1970.',
  },
  files: {
    type: 'gauge',
    name: 'process_open_fds',
    help: 'Open file descriptors; absent where the system does not say.',
  },
})

const timerMs = 100

type ProcessOptions = { service: string; version: string; isServing: () => boolean }

/** Of any service. */
export const processParts = ({
  diskFolders,
  ...options
}: ProcessOptions & { diskFolders: readonly string[] }): Part[] => [
  createDiskPart(diskFolders),
  createProcessPart(options),
]

function createProcessPart({ service, version, isServing }: ProcessOptions): Part {
  const { build, loopDelay, cpu, files, all } = createMetrics(processMetrics, {
    serving: () => Number(isServing()),
    memory: () => process.memoryUsage.rss(),
    started: () => (Date.now() - performance.now()) / 1000,
  })
  build.set({ service, version, runtime: Bun.version }, 1)
  let timer: Timer | undefined
  let countedSeconds = 0
  return {
    name: 'process',
    metrics: all,
    async run() {
      let dueMs = performance.now() + timerMs
      timer = setInterval(() => {
        const nowMs = performance.now()
        loopDelay.observe({}, Math.max(0, nowMs - dueMs) / 1000)
        dueMs = nowMs + timerMs
      }, timerMs)
    },
    async sample() {
      const { user, system } = process.cpuUsage()
      const seconds = (user + system) / 1e6
      cpu.add({}, seconds - countedSeconds)
      countedSeconds = seconds
      const open = countOpenFiles()
      if (open !== undefined) files.set({}, open)
    },
    async stop() {
      clearInterval(timer)
    },
  }
}

function countOpenFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}
