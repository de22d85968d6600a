import { useMessages } from '../i18n.ts'
import { shellMessages } from '../messages.ts'

export function HealthView() {
  const text = useMessages(shellMessages)
  return <h1>{text('health')}</h1>
}
