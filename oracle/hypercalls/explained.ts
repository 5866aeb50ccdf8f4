import { type Difference, differenceOf, type Pair } from './align.ts'

/** A kind of difference that is known, and why there is one: docs/agreement.md has the same table for people. */
type Explanation = {
  readonly kind: string
  readonly roles: RegExp
  readonly differences: readonly Difference[]
}

const OTHER_CALLS = ['missing here', 'extra here', 'another number'] as const

/** The first that fits is the reason. No hypercall may have another result but those of the FIFO. */
const EXPLANATIONS: readonly Explanation[] = [
  {
    kind: 'no FIFO of event channels',
    roles: /^event_channel_op (init_control|set_priority)$/,
    differences: ['another result'],
  },
  {
    kind: 'no FIFO of event channels',
    roles: /^event_channel_op (expand_array|bind_virq DEBUG|bind_ipi)$/,
    differences: OTHER_CALLS,
  },
  {
    kind: 'another clock of Xen',
    roles: /^vcpu_op register_vcpu_time_memory_area$/,
    differences: ['extra here'],
  },
  {
    kind: 'other interrupts and devices',
    roles: /^(physdev_op .*|event_channel_op (bind_pirq|bind_vcpu|close))$/,
    differences: OTHER_CALLS,
  },
  {
    kind: 'the clock is set at another moment',
    roles: /^platform_op settime64$/,
    differences: ['missing here', 'extra here'],
  },
  {
    kind: 'other firmware and devices are mapped, or at another moment',
    roles:
      /^(mmu_update NORMAL_PT_UPDATE|mmuext_op INVLPG_LOCAL|update_va_mapping (fixmap rw|direct map ro)|multicall \[update_va_mapping direct map ro, mmuext_op\])$/,
    differences: OTHER_CALLS,
  },
]

/** Of which kind a pair's difference is; `unexplained` where it is of none, null where there is no difference. */
export function kindOf(pair: Pair): string | null {
  const difference = differenceOf(pair)
  if (difference === null) return null
  const role = (pair.ours ?? pair.xens)?.text ?? ''
  const found = EXPLANATIONS.find(
    ({ roles, differences }) => roles.test(role) && differences.includes(difference),
  )
  return found?.kind ?? UNEXPLAINED
}

export const UNEXPLAINED = 'unexplained'
