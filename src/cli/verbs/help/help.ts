import { helpText, overviewText, topicText } from '../../help.ts'
import type { Io } from '../../io.ts'
import { TOPICS } from '../../topics.ts'
import type { Values, Verb } from '../../verb.ts'

/** Prints the help of one verb, or of all; the parser has already refused a verb that there is not. */
export function run(options: Values, io: Io, verbs: readonly Verb[]): number {
  const verb = verbs.find((candidate) => candidate.name === options.verb)
  const topic = TOPICS.find((candidate) => candidate.name === options.verb)
  if (topic !== undefined) io.out(topicText(topic))
  else io.out(verb === undefined ? overviewText(verbs) : helpText(verb))
  return 0
}
