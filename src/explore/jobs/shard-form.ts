import * as v from 'valibot'
import { whole } from '../../files/checked.ts'

/** As many parts as can be typed. */
const MOST_PARTS = 999_999_999

/** A `Shard` of job.ts, as a file says it. */
export const ShardForm = v.pipe(
  v.strictObject({ index: whole(1, MOST_PARTS), of: whole(1, MOST_PARTS) }),
  v.check(({ index, of }) => index <= of, 'a part that is not among so many'),
)
