import { FAST_FLOAT_SEMANTICS } from '../float/float-fast.ts'
import { ARITHMETIC_SEMANTICS } from './arithmetic.ts'
import { ASSISTED_SEMANTICS } from './assisted.ts'
import { BIT_SEMANTICS } from './bit-tests.ts'
import { CONTROL_SEMANTICS } from './control.ts'
import { MOVE_SEMANTICS } from './moves.ts'
import { MULTIPLY_SEMANTICS } from './multiply.ts'
import type { Semantic } from './semantic.ts'
import { SHIFT_SEMANTICS } from './shifts.ts'
import { STRING_SEMANTICS } from './strings.ts'
import { MMX_SEMANTICS } from './vector/mmx.ts'
import { VECTOR_SEMANTICS } from './vector/vectors.ts'

/** What integer code is made of: common, and short. */
export const INTEGER_SEMANTICS: readonly Semantic[] = [
  ...MOVE_SEMANTICS,
  ...ARITHMETIC_SEMANTICS,
  ...CONTROL_SEMANTICS,
  ...SHIFT_SEMANTICS,
  ...MULTIPLY_SEMANTICS,
  ...BIT_SEMANTICS,
]

/** What is seldom, or long. */
export const OTHER_SEMANTICS: readonly Semantic[] = [
  ...STRING_SEMANTICS,
  ...VECTOR_SEMANTICS,
  ...FAST_FLOAT_SEMANTICS,
  ...MMX_SEMANTICS,
]

/** Every semantic that there is. */
export const SEMANTICS: readonly Semantic[] = [
  ...INTEGER_SEMANTICS,
  ...OTHER_SEMANTICS,
  ...ASSISTED_SEMANTICS,
]
