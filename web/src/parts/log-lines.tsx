import { useMemo } from 'preact/hooks'
import type { Report } from '../../../src/explain/report/report.ts'
import { meaningsOf, wordsOf } from '../log-words.ts'
import { count } from '../words.ts'

/** Lines that are shown at most, around those that the answer is about. */
const MOST = 2000

/** The log itself: lines that the cause rests on are marked, and words that are decoded say what they mean. */
export function LogLines({ text, report }: { text: string; report: Report }) {
  const lines = useMemo(() => text.split(/\r?\n/), [text])
  const meanings = useMemo(() => meaningsOf(report.decoded), [report])
  const evidence = new Set(report.causes.flatMap((cause) => cause.evidence.map(({ line }) => line)))
  const middle = Math.min(...evidence, lines.length)
  const first = lines.length <= MOST ? 0 : Math.max(0, Math.min(lines.length - MOST, middle - MOST / 2))
  const shown = lines.slice(first, first + MOST)
  return (
    <section class="panel log" aria-labelledby="log-title">
      <h2 id="log-title">The log, decoded</h2>
      <p class="quiet">
        Underlined words say what they mean when pointed at or focused.
        {shown.length < lines.length
          ? ` Shown are ${count(shown.length)} of ${count(lines.length)} lines.`
          : ''}
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys. */}
      <ol tabIndex={0} aria-label="Lines of the log" start={first + 1}>
        {shown.map((line, i) => {
          const number = first + i + 1
          return (
            <li key={number} value={number} class={evidence.has(number) ? 'evidence' : undefined}>
              {wordsOf(line, number, meanings).map(({ text: word, meaning }, at) =>
                meaning === null ? (
                  word
                ) : (
                  <button type="button" key={at} class="word" aria-label={`${word}: ${meaning}`}>
                    {word}
                    <span class="tip" aria-hidden="true">
                      {meaning}
                    </span>
                  </button>
                ),
              )}
            </li>
          )
        })}
      </ol>
    </section>
  )
}
