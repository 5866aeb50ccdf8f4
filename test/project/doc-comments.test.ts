import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import ts from 'typescript'
import { root } from '../tools/tools.ts'

/** The functions that a file exports by a declaration, whose line before is not the end of a doc comment. */
function undocumented(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const documented = new Set<string>()
  return file.statements.flatMap((statement) => {
    const name = exportedFunction(statement)
    // Of overloads the first one has it.
    if (name === null || documented.has(name)) return []
    documented.add(name)
    const before = text.slice(0, statement.getStart(file)).trimEnd()
    const gap = text.slice(before.length, statement.getStart(file))
    return before.endsWith('*/') && gap === '\n' ? [] : [`${path}: ${name}`]
  })
}

function exportedFunction(statement: ts.Statement): string | null {
  if (!ts.canHaveModifiers(statement)) return null
  const isExported = ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
  if (isExported !== true) return null
  if (ts.isFunctionDeclaration(statement)) return statement.name?.text ?? 'default'
  if (!ts.isVariableStatement(statement)) return null
  const [{ name, initializer }] = statement.declarationList.declarations
  const isFunction =
    initializer !== undefined && (ts.isArrowFunction(initializer) || ts.isFunctionExpression(initializer))
  return isFunction ? name.getText() : null
}

test('a function without a doc comment is seen', () => {
  const text = `/** About the file. */

export function one(): void {}
/** Has one. */
export const two = (n: number) => n
export const three = async () => {}
export const four = 4
function five(): void {}
`
  assert.deepEqual(undocumented('a.ts', text), ['a.ts: one', 'a.ts: three'])
})

test('every exported function has a doc comment', () => {
  const files = globSync('src/**/*.ts', { cwd: root }).sort()
  assert.ok(files.length > 300)
  const missing = files.flatMap((file) => undocumented(file, readFileSync(`${root}${file}`, 'utf8')))
  assert.deepEqual(missing, [])
})
