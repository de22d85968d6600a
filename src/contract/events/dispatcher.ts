/** Dispatches events to handlers that are registered by the event's name. */

/** By event name. */
type Payloads = Record<string, unknown>
export type Handler<Payload, Context, Result> = (payload: Payload, context: Context) => Result
/** Name and payload together, so that the compiler matches them with the handler. */
export type Dispatched<Events extends Payloads> = {
  [Name in keyof Events & string]: { name: Name; payload: Events[Name] }
}[keyof Events & string]

/** `Context` is passed to every handler with the payload; `dispatch` returns their results. */
export class Dispatcher<Events extends Payloads, Context = void, Result = void> {
  readonly #handlers = new Map<string, Handler<never, Context, Result>[]>()

  /** Handlers of one event are called in the order of their registration, each once. */
  register<Name extends keyof Events & string>(
    name: Name,
    handler: Handler<Events[Name], Context, Result>,
  ): this {
    if (!this.has(name, handler)) this.#handlers.set(name, [...(this.#handlers.get(name) ?? []), handler])
    return this
  }

  /** Copy-on-write: removing a handler during dispatch does not skip others. */
  remove<Name extends keyof Events & string>(
    name: Name,
    handler: Handler<Events[Name], Context, Result>,
  ): void {
    const others = this.#handlers.get(name)?.filter((one) => one !== handler)
    if (others) this.#handlers.set(name, others)
  }

  has<Name extends keyof Events & string>(
    name: Name,
    handler: Handler<Events[Name], Context, Result>,
  ): boolean {
    return this.#handlers.get(name)?.includes(handler) ?? false
  }

  clear(): void {
    this.#handlers.clear()
  }

  /** Calls every handler, also after one has thrown. Throws an `AggregateError` of what they threw. */
  dispatch({ name, payload }: Dispatched<Events>, context: Context): Result[] {
    const results: Result[] = []
    let errors: unknown[] | undefined
    for (const handler of this.#handlers.get(name) ?? none) {
      try {
        results.push(handler(payload as never, context))
      } catch (error) {
        errors ??= []
        errors.push(error)
      }
    }
    if (errors) throw new AggregateError(errors, `${errors.length} handlers of ${name} failed`)
    return results
  }
}

const none: readonly never[] = []
