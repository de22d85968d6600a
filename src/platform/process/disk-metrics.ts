/** How much is left of disks: those of PostgreSQL and the broker, where they are on the same machine. */
import { statfs } from 'node:fs/promises'
import { createMetrics, defineMetrics } from '../telemetry/metrics'
import type { Part } from './service'

const folder = { folder: 'as in `DISK_FOLDERS`' }

export const diskMetrics = defineMetrics({
  free: {
    type: 'gauge',
    name: 'saldo_disk_free_bytes',
    help: 'What is left for other users than root.',
    labels: folder,
  },
  size: {
    type: 'gauge',
    name: 'saldo_disk_size_bytes',
    help: 'The size of the file system.',
    labels: folder,
  },
})

export function createDiskPart(folders: readonly string[]): Part {
  const { free, size, all } = createMetrics(diskMetrics)
  return {
    name: 'disk',
    metrics: all,
    async sample() {
      for (const folder of folders) {
        const { bavail, blocks, bsize } = await statfs(folder)
        free.set({ folder }, bavail * bsize)
        size.set({ folder }, blocks * bsize)
      }
    },
  }
}
