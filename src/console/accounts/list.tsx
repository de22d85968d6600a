/** The list of accounts, whose filter and page are in the address. */
import { useFormats, useMessages } from '../i18n.ts'
import { hashOf, navigate } from '../router.ts'
import { Empty, Failure, Money, Panel, Scroll, useLoaded } from '../ui.tsx'
import { type Page, read } from './data.ts'
import { type Balance, listPath } from './facts.ts'
import { accountsMessages } from './messages.ts'
import { AccountLink, AsOf, Status } from './parts.tsx'

type Query = Readonly<Record<string, string | undefined>>

export function AccountList({ query }: { query: Query }) {
  const text = useMessages(accountsMessages)
  const path = listPath(query)
  const { value, error, reload } = useLoaded((signal) => read<Page<Balance>>(path, signal), [path])
  const { owner, currency } = query
  return (
    <>
      <h1>{text('title')}</h1>
      <Search key={`${owner}/${currency}`} owner={owner} currency={currency} />
      {error ? (
        <Failure error={error} onRetry={reload} />
      ) : (
        value && (
          <Panel title={text('found')} actions={<AsOf at={value.asOf} />}>
            {value.body.data.length > 0 ? (
              <Accounts accounts={value.body.data} />
            ) : (
              <Empty title={text('none')}>
                {owner || currency ? text('noneFiltered') : text('noneAtAll')}
              </Empty>
            )}
            <nav class="row pages" aria-label={text('found')}>
              {query.cursor && <a href={hashOf(['accounts'], { owner, currency })}>{text('firstPage')}</a>}
              {value.body.next_cursor && (
                <a href={hashOf(['accounts'], { owner, currency, cursor: value.body.next_cursor })}>
                  {text('nextPage')}
                </a>
              )}
            </nav>
          </Panel>
        )
      )}
    </>
  )
}

function Search({ owner, currency }: Query) {
  const text = useMessages(accountsMessages)
  const search = (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget)
    const typed = (name: string) => String(fields.get(name) ?? '').trim()
    navigate(['accounts'], { owner: typed('owner'), currency: typed('currency').toUpperCase() })
  }
  const open = (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault()
    const id = String(new FormData(event.currentTarget).get('id') ?? '').trim()
    if (id) navigate(['accounts', id])
  }
  return (
    <search class="row searches">
      <form class="row" onSubmit={search}>
        <label>
          {text('owner')}
          <input name="owner" type="search" maxLength={100} defaultValue={owner ?? ''} />
        </label>
        <label>
          {text('currency')}
          <input
            name="currency"
            class="currency"
            maxLength={3}
            autocomplete="off"
            placeholder={text('anyCurrency')}
            defaultValue={currency ?? ''}
          />
        </label>
        <button type="submit">{text('search')}</button>
        {(owner || currency) && <a href={hashOf(['accounts'])}>{text('clear')}</a>}
      </form>
      <form class="row" onSubmit={open}>
        <label>
          {text('accountId')}
          <input name="id" autocomplete="off" spellcheck={false} class="account-id" />
        </label>
        <button type="submit" class="quiet">
          {text('open')}
        </button>
      </form>
    </search>
  )
}

function Accounts({ accounts }: { accounts: readonly Balance[] }) {
  const text = useMessages(accountsMessages)
  const { dateTime, number } = useFormats()
  return (
    <Scroll label={text('found')}>
      <table>
        <thead>
          <tr>
            <th scope="col">{text('ownerColumn')}</th>
            <th scope="col">{text('account')}</th>
            <th scope="col" class="number">
              {text('balance')}
            </th>
            <th scope="col" class="number">
              {text('available')}
            </th>
            <th scope="col">{text('status')}</th>
            <th scope="col" class="number">
              {text('version')}
            </th>
            <th scope="col">{text('changed')}</th>
          </tr>
        </thead>
        <tbody>
          {accounts.map((one) => (
            <tr key={one.account_id}>
              <td>{one.owner_name ?? <span class="quiet-text">{text('unnamed')}</span>}</td>
              <td>
                <AccountLink id={one.account_id} />
              </td>
              <td class="number">
                <Money amount={one.balance} currency={one.currency} />
              </td>
              <td class="number">
                <Money amount={one.available} currency={one.currency} />
              </td>
              <td>
                <Status status={one.status} />
              </td>
              <td class="number">{number(one.version)}</td>
              <td>{dateTime(one.updated_at)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}
