import { useMessages } from '../i18n.ts'
import { shellMessages } from '../messages.ts'

export function TryView() {
  const text = useMessages(shellMessages)
  return <h1>{text('try')}</h1>
}
