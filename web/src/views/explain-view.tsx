import { useEffect, useRef, useState } from 'preact/hooks'
import type { Report, ReportCause } from '../../../src/explain/report/report.ts'
import { GivenUp, type MachineClient } from '../machine-client.ts'
import type { MachineOptions } from '../messages.ts'
import { LogLines } from '../parts/log-lines.tsx'
import { useDrop } from '../use-drop.ts'
import { count } from '../words.ts'
import type { ViewProps } from './boot-view.tsx'

/** Longer logs are read, but only so many of their lines are shown. */
const LARGEST = 64 * 2 ** 20

/** A log as pasted: what it is about, its words decoded where they stand, its machine booted with one click. */
export function ExplainView(
  props: ViewProps & { reader: MachineClient; onBoot: (machine: MachineOptions) => void },
) {
  const { reader, state, change, onBoot } = props
  const [log, setLog] = useState({ text: state.log, name: null as string | null })
  const [report, setReport] = useState<Report | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [waits, setWaits] = useState<string | null>(null)
  const [read, setRead] = useState('')
  const file = useRef<HTMLInputElement>(null)

  const explain = async (text: string, name: string | null): Promise<void> => {
    if (text.trim() === '')
      return setProblem('There is nothing to explain yet: paste a log, or choose a file.')
    setProblem(null)
    setReport(null)
    setWaits('reading the log')
    change({ log: text })
    if (reader.busy) reader.giveUp()
    try {
      // The answer first; to boot the log's machine takes longer.
      const first = await reader.ask('explain', { text, name, boot: false })
      setReport(first)
      setRead(text)
      setWaits("booting the log's machine in the model")
      setReport(await reader.ask('explain', { text, name, boot: true }))
    } catch (error) {
      if (!(error instanceof GivenUp)) setProblem((error as Error).message)
    } finally {
      setWaits(null)
    }
  }
  const readFile = async (one: File | undefined): Promise<void> => {
    if (one === undefined) return
    if (one.size > LARGEST)
      return setProblem(`${one.name} has ${count(one.size)} bytes; the page reads 64 MiB at most`)
    const text = await one.text()
    setLog({ text, name: one.name })
    await explain(text, one.name)
  }
  useDrop((one) => void readFile(one))
  // A link with a log in it explains it at once.
  // Only when the page opens.
  useEffect(() => {
    if (state.log !== '') void explain(state.log, null)
  }, [])

  const rerun = async (): Promise<void> => {
    const ran = report?.confirmation?.ran
    if (ran === undefined) return
    try {
      onBoot(await reader.ask('machine', { text: read, name: log.name ?? 'the log', command: ran.command }))
    } catch (error) {
      setProblem((error as Error).message)
    }
  }

  return (
    <div class="view explain">
      <form
        class="panel paste"
        aria-label="The log"
        onSubmit={(submit) => {
          submit.preventDefault()
          void explain(log.text, log.name)
        }}
      >
        <label>
          <span>
            Paste what the machine said: <code>xl dmesg</code>, a serial capture, a journal, a mail
          </span>
          <textarea
            id="log"
            rows={8}
            spellcheck={false}
            value={log.text}
            onInput={(e) => setLog({ text: e.currentTarget.value, name: null })}
          />
        </label>
        <div class="actions">
          <button type="submit" class="primary">
            Explain
          </button>
          <button type="button" onClick={() => file.current?.click()}>
            A file…
          </button>
          <input
            ref={file}
            id="log-file"
            class="hidden"
            type="file"
            tabIndex={-1}
            aria-label="A log file"
            onChange={(e) => {
              void readFile(e.currentTarget.files?.[0])
              e.currentTarget.value = ''
            }}
          />
          <span class="quiet">Nothing leaves this page.</span>
        </div>
      </form>
      {problem === null ? null : (
        <p class="panel problem" role="alert">
          {problem}
        </p>
      )}
      {waits === null ? null : (
        <p class="panel quiet waiting" role="status">
          <progress aria-label={waits} /> {waits}
        </p>
      )}
      {report === null ? null : <Answer report={report} onRerun={() => void rerun()} />}
      {report === null ? null : <LogLines text={read} report={report} />}
    </div>
  )
}

function Answer({ report, onRerun }: { report: Report; onRerun: () => void }) {
  const { causes, confirmation, xen } = report
  const [cause, ...others] = causes
  return (
    <section class="panel answer" aria-labelledby="answer-title">
      <h2 id="answer-title">{report.title}</h2>
      {cause === undefined ? null : (
        <p>
          <b>{cause.class}</b>, {cause.confidence}, {cause.score} of 100: {cause.name}
        </p>
      )}
      {xen === null ? null : (
        <p class="quiet">
          Xen {xen.version}: {xen.sure}
        </p>
      )}
      <List heading="What would tell the readings apart" items={report.wouldTell} />
      {confirmation === null ? null : (
        <div class="confirmation">
          <h3>Booted in the model</h3>
          <p>
            <Text text={confirmation.says} />
          </p>
          <List heading="What is missing" items={confirmation.missing ?? []} />
          {confirmation.ran === undefined ? null : (
            <button type="button" class="primary" onClick={onRerun}>
              Open it in the boot view
            </button>
          )}
        </div>
      )}
      {cause === undefined ? null : <CauseText cause={cause} />}
      {others.length === 0 ? null : (
        <>
          <h3>Other readings</h3>
          <ul>
            {others.map((one) => (
              <li key={one.class}>
                <b>{one.class}</b>, {one.confidence}: {one.title}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  )
}

function CauseText({ cause }: { cause: ReportCause }) {
  return (
    <>
      {cause.details.map((text) => (
        <p key={text}>
          <Text text={text} />
        </p>
      ))}
      <h3>Why</h3>
      {cause.explanation.map((text) => (
        <p key={text}>
          <Text text={text} />
        </p>
      ))}
      <List heading="What to check" items={cause.check} />
      <List
        heading="Fixed by"
        items={cause.fixes.map(
          ({ project, commit, release, what }) =>
            `${[project, commit, release].filter((part) => part !== undefined).join(' ')}: ${what}`,
        )}
      />
      <List heading="What avoids it" items={cause.avoid} />
    </>
  )
}

function List({ heading, items }: { heading: string; items: readonly string[] }) {
  if (items.length === 0) return null
  return (
    <>
      <h3>{heading}</h3>
      <ul>
        {items.map((text) => (
          <li key={text}>
            <Text text={text} />
          </li>
        ))}
      </ul>
    </>
  )
}

/** A text in which words between back quotes are what is typed or printed. */
function Text({ text }: { text: string }) {
  return <>{text.split('`').map((part, i) => (i % 2 === 1 ? <code key={part}>{part}</code> : part))}</>
}
