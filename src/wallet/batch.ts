/**
 * Group commit: what arrives while one batch is at the database is the next batch. A lone command never waits for company, and there is one batch in
 * flight, since two of one process would only collide on each other's accounts.
 */
import { Fault } from '../platform/fault'

export type BatchOptions<Command, Outcome> = {
  /** Answers every command of the batch, in order; an error is the outcome of that command alone. A throw fails the whole batch. */
  settle: (commands: Command[]) => Promise<(Outcome | Error)[]>
  /** Commands in one batch. */
  sizeMax: number
  /** Commands that may wait. One more is turned away as overloaded, before anything was done for it. */
  queueMax: number
}

export type Batch<Command, Outcome> = {
  /** Resolves once the command is durable, or refused. Rejects with a `Fault` when that could not be brought about. */
  submit(command: Command): Promise<Outcome>
  /** Resolves when nothing waits and nothing is in flight. */
  idle(): Promise<void>
}

type Waiting<Command, Outcome> = {
  command: Command
  resolve: (outcome: Outcome) => void
  reject: (error: unknown) => void
}

export function createBatch<Command, Outcome>(options: BatchOptions<Command, Outcome>): Batch<Command, Outcome> {
  const queue: Waiting<Command, Outcome>[] = []
  let running: Promise<void> | undefined

  const run = async () => {
    // One turn of the event loop, so that requests which arrived together go together.
    await new Promise(setImmediate)
    while (queue.length > 0) {
      const members = queue.splice(0, options.sizeMax)
      try {
        const outcomes = await options.settle(members.map((member) => member.command))
        for (const [index, outcome] of outcomes.entries()) {
          if (outcome instanceof Error) members[index]?.reject(outcome)
          else members[index]?.resolve(outcome)
        }
      } catch (error) {
        for (const member of members) member.reject(error)
      }
    }
    running = undefined
  }

  return {
    submit: (command) =>
      new Promise((resolve, reject) => {
        if (queue.length >= options.queueMax) {
          reject(new Fault('overloaded', `${queue.length} commands are waiting already`))
          return
        }
        queue.push({ command, resolve, reject })
        running ??= run()
      }),
    async idle() {
      while (running) await running
    },
  }
}
