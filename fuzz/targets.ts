import type { Target } from './target.ts'
import { code } from './targets/code.ts'
import { explain } from './targets/explain.ts'
import { FORMATS } from './targets/formats.ts'
import { boot, guest } from './targets/guest.ts'
import { hypercalls } from './targets/hypercalls.ts'
import { LOADERS } from './targets/loaders.ts'
import { RINGS } from './targets/rings.ts'
import { STORED } from './targets/stored.ts'

/** Everything that is fuzzed. */
export const TARGETS: readonly Target[] = [
  ...FORMATS,
  ...STORED,
  ...LOADERS,
  explain,
  ...RINGS,
  hypercalls,
  guest,
  boot,
  code,
]
