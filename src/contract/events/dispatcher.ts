/** Events and those who handle them, who know nothing of one another. */

/** By name of the event, what it carries. */
type Payloads = Record<string, unknown>
export type Handler<Payload, Context, Result> = (payload: Payload, context: Context) => Result
/** An event with its name, so that payload and handler fit. */
export type Dispatched<Events extends Payloads> = {
  [Name in keyof Events & string]: { name: Name; payload: Events[Name] }
}[keyof Events & string]

/** What the handlers get besides the event is `Context`; what they answer with comes back from `dispatch`. */
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

  /** Whoever removes himself while he is called takes nobody else's turn, since lists are never changed. */
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

  /**
   * Every handler is called, whatever becomes of the others; what they threw is thrown together
   * afterwards.
   */
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
