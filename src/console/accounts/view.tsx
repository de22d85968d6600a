/** Accounts: found by owner, currency or id, and each with what explains its balance. */
import './accounts.css'
import { useRoute } from '../router.ts'
import { Account } from './account.tsx'
import { AccountList } from './list.tsx'

export function AccountsView() {
  const { path, query } = useRoute()
  const id = path[1]
  return id === undefined ? <AccountList query={query} /> : <Account key={id} id={id} query={query} />
}
