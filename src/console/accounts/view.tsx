import { useMessages } from '../i18n.ts'
import { shellMessages } from '../messages.ts'

export function AccountsView() {
  const text = useMessages(shellMessages)
  return <h1>{text('accounts')}</h1>
}
