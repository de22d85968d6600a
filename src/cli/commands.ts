/**
 * The commands of Saldo: a file and a row each. Loaded when asked for: together they are most of both
 * services.
 */
import type { Command } from './command'

export const commands: Record<string, () => Promise<Command>> = {
  status: async () => (await import('./status')).status,
  reconcile: async () => (await import('./reconcile')).reconcileCommand,
  events: async () => (await import('./events')).events,
  republish: async () => (await import('./republish')).republish,
  rebuild: async () => (await import('./rebuild')).rebuild,
  redrive: async () => (await import('./redrive')).redriveCommand,
  backup: async () => (await import('./backup')).backup,
  restore: async () => (await import('./backup')).restoreCommand,
  verify: async () => (await import('./backup')).verifyCommand,
  epoch: async () => (await import('./backup')).epoch,
  keys: async () => (await import('./keys')).keys,
  migrate: async () => (await import('./migrate')).migrate,
  drill: async () => (await import('./drill')).drill,
  seed: async () => (await import('./seed')).seed,
}

/** All of them, by name, with the verbs of those that have some: `keys create`. */
export async function loadCommands(): Promise<[name: string, command: Command][]> {
  const entries = Object.entries(commands)
  return Promise.all(entries.map(async ([name, load]): Promise<[string, Command]> => [name, await load()]))
}
