/** The dead letters of a drill, which are redriven at its end. */
import { SetupError } from '../platform/fault'
import { ask, type Service } from './ask'

type Letters = { data: { id: string }[] }

/** Takes note of the newest one; later ones are redriven when it is disposed of. */
export async function redriveNew(balances: Service): Promise<AsyncDisposable> {
  const before = new Set(await idsOf(balances))
  return {
    async [Symbol.asyncDispose]() {
      const ids = (await idsOf(balances)).filter((id) => !before.has(id))
      if (ids.length === 0) return
      const answer = await ask(balances, '/dead-letters/redrive', 'admin', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ids }),
      })
      if (!answer.ok) throw new SetupError(`The redrive of ${ids.join(', ')} answers ${answer.status}.`)
    },
  }
}

/** The newest hundred. */
async function idsOf(balances: Service): Promise<string[]> {
  const answer = await ask(balances, '/dead-letters?limit=100', 'admin')
  if (!answer.ok) throw new SetupError(`${balances.url}/dead-letters answers ${answer.status}.`)
  return ((await answer.json()) as Letters).data.map(({ id }) => id)
}
