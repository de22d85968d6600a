import { useMessages } from '../i18n.ts'
import { shellMessages } from '../messages.ts'

export function WhereView() {
  const text = useMessages(shellMessages)
  return <h1>{text('where')}</h1>
}
