/** Advisories that the audit lets pass for a while. Empty is the normal state. */
export type Accepted = {
  /** As in the address of the advisory, such as `GHSA-xxxx-xxxx-xxxx`. */
  id: string
  /** Why it does no harm here, or what is done about it. */
  reason: string
  /** The last day, as `YYYY-MM-DD` in UTC. From the next day on the audit fails again. */
  until: string
}

export const accepted: readonly Accepted[] = []
