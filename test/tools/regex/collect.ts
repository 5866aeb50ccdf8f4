import { readdirSync, readFileSync } from 'node:fs'
import ts from 'typescript'

/** A regular expression as it stands in a source file; of one that is made at run time, the call that makes it. */
export type FoundRegex =
  | { readonly at: string; readonly source: string; readonly flags: string }
  | { readonly at: string; readonly made: string }

/** Every regular expression in the files below the folders, in the order of their names. */
export function regexesIn(root: string, folders: readonly string[]): FoundRegex[] {
  return folders.flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(?:ts|tsx|js)$/.test(file) && !file.startsWith('dist'))
      .sort()
      .flatMap((file) => regexesOf(`${folder}/${file}`, readFileSync(`${root}${folder}/${file}`, 'utf8'))),
  )
}

function regexesOf(file: string, text: string): FoundRegex[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const found: FoundRegex[] = []
  const visit = (node: ts.Node): void => {
    const at = `${file}:${source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1}`
    if (ts.isRegularExpressionLiteral(node)) {
      const end = node.text.lastIndexOf('/')
      found.push({ at, source: node.text.slice(1, end), flags: node.text.slice(end + 1) })
    } else if (
      (ts.isNewExpression(node) || ts.isCallExpression(node)) &&
      node.expression.getText(source) === 'RegExp'
    ) {
      found.push({ at, made: node.getText(source) })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** The regular expressions that are made while something runs, a module being loaded for example. */
export async function regexesMadeBy(run: () => Promise<unknown>): Promise<RegExp[]> {
  const made: RegExp[] = []
  const original = globalThis.RegExp
  globalThis.RegExp = new Proxy(original, {
    construct: (target, given, newTarget) => {
      const regex = Reflect.construct(target, given, newTarget) as RegExp
      made.push(regex)
      return regex
    },
  })
  try {
    await run()
  } finally {
    globalThis.RegExp = original
  }
  return made
}
