import { useMessages } from '../i18n.ts'
import { shellMessages } from '../messages.ts'

export function FlowView() {
  const text = useMessages(shellMessages)
  return <h1>{text('flow')}</h1>
}
