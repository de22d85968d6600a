/** Buttons that make something happen, or fail, so that it can be seen. */
import './try.css'
import { call } from '../api.ts'
import { useFormats, useMessages } from '../i18n.ts'
import { usePolled } from '../poll.ts'
import { navigate, useRoute } from '../router.ts'
import { startTour } from '../tour/state.ts'
import { Copyable } from '../ui.tsx'
import { type Form, type GroupName, groups } from './actions.ts'
import { ActionCard } from './card.tsx'
import { tryMessages } from './messages.ts'

/** How old names and balances of the choice may be. */
const accountsEveryMs = 3000

export type KnownAccount = {
  account_id: string
  owner_name: string | null
  balance: string
  currency: string
}

/** Of the seed: they are there unless it was left out. */
const [eva, frank] = ['d6a41403-bbd0-11ee-8a24-0242ac120003', 'd6a41504-bbd0-11ee-8a24-0242ac120003']

/** Those that transfers may name: not `world`. */
export async function listAccounts(signal?: AbortSignal): Promise<KnownAccount[]> {
  const options = signal ? { signal } : {}
  const { data } = await call<{ data: KnownAccount[] }>('balances', '/balances?limit=100', options)
  return data.filter(({ account_id: id }) => !id.startsWith('00000000-'))
}

export function formOf(query: Readonly<Record<string, string>>, accounts: readonly KnownAccount[]): Form {
  const { from = eva, to = frank, amount = '1' } = query
  return { from, to, amount, currency: accounts.find(({ account_id: id }) => id === from.trim())?.currency }
}

export function TryView() {
  const text = useMessages(tryMessages)
  const { query } = useRoute()
  const { value: accounts = [] } = usePolled(listAccounts, accountsEveryMs)
  const form = formOf(query, accounts)
  return (
    <>
      <h1>{text('title')}</h1>
      <p>{text('intro')}</p>
      <p>
        <button type="button" class="quiet" onClick={startTour}>
          {text('startTour')}
        </button>
      </p>
      <FormFields form={form} accounts={accounts} />
      {(Object.keys(groups) as GroupName[]).map((group) => (
        <section key={group} aria-label={text(`${group}Group`)}>
          <h2 class="try-group">{text(`${group}Group`)}</h2>
          <div class="grid">
            {groups[group].map((name) => (
              <ActionCard key={name} name={name} form={form} />
            ))}
            {group === 'projection' && <ReconcileHint />}
          </div>
        </section>
      ))}
    </>
  )
}

function FormFields({ form, accounts }: { form: Form; accounts: readonly KnownAccount[] }) {
  const text = useMessages(tryMessages)
  const { from, to, amount, currency } = form
  const set = (changes: Partial<Form>) =>
    navigate(['try'], { from, to, amount, ...changes } as Record<string, string>, { replace: true })
  return (
    <form class="panel row" aria-label={text('form')} onSubmit={(event) => event.preventDefault()}>
      <AccountField
        label={text('from')}
        value={from}
        accounts={accounts}
        onChange={(id) => set({ from: id })}
      />
      <AccountField label={text('to')} value={to} accounts={accounts} onChange={(id) => set({ to: id })} />
      <label>
        {text('amount', { currency: currency ?? 'BRL' })}
        <input
          inputMode="decimal"
          size={10}
          value={amount}
          onInput={({ currentTarget }) => set({ amount: currentTarget.value })}
        />
      </label>
    </form>
  )
}

type AccountFieldProps = {
  label: string
  value: string
  accounts: readonly KnownAccount[]
  onChange: (id: string) => void
}

/** Any id may be typed, and those that are known are offered. */
function AccountField({ label, value, accounts, onChange }: AccountFieldProps) {
  const { money } = useFormats()
  const isKnown = accounts.some(({ account_id: id }) => id === value)
  if (!isKnown)
    return (
      <label>
        {label}
        <input
          size={36}
          spellcheck={false}
          value={value}
          onInput={({ currentTarget }) => onChange(currentTarget.value)}
        />
      </label>
    )
  return (
    <label>
      {label}
      <select value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
        {accounts.map(({ account_id: id, owner_name: owner, balance, currency }) => (
          <option key={id} value={id}>
            {owner ?? id} · {money(balance, currency)}
          </option>
        ))}
      </select>
    </label>
  )
}

/** It compares from outside, with the rights to do so: a command, not a button. */
function ReconcileHint() {
  const text = useMessages(tryMessages)
  return (
    <article class="try-card panel" aria-labelledby="try-reconcile-title">
      <h3 id="try-reconcile-title">{text('reconcileTitle')}</h3>
      <p>{text('reconcileText')}</p>
      <Copyable value="npm run reconcile" />
      <p>
        <a href="#/health">{text('reconcileSee')}</a>
      </p>
    </article>
  )
}
