/**
 * Owns the places of a source at which it can be made wrong: read from the tree that TypeScript's own parser makes, each with the text that
 * stands there and the one to stand there instead.
 *
 * Why this parser: the sources are TypeScript, a mutant is told by the line that people read, and `typescript` is here already. Version 7 has
 * no compiler API any more, but `typescript/unstable/sync` gives the tree of each file of a project (1 s for all of ours). It is unstable by its
 * name: nothing else in this tree uses it, and `sites.test.ts` would show a change of it.
 *
 * Always true: nothing of types, imports, comments, texts for people, metrics, log lines and asserts is a site, for a change of them changes no
 * message. A mutant is one site: its file with that one text replaced.
 */

import {
  type Expression,
  isArrayLiteralExpression,
  isAwaitExpression,
  isBinaryExpression,
  isCallExpression,
  isCaseClause,
  isConditionalExpression,
  isExpressionStatement,
  isFunctionLikeDeclaration,
  isIfStatement,
  isImportDeclaration,
  isLiteralExpression,
  isNewExpression,
  isNumericLiteral,
  isPropertyAssignment,
  isStringLiteral,
  isThrowStatement,
  isTypeNode,
  isVariableDeclaration,
  isWhileStatement,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast'
import { API } from 'typescript/unstable/sync'
import { ROOT } from '../tree.ts'

export const OPERATORS = [
  'negate',
  'boundary',
  'arithmetic',
  'number',
  'logical',
  'boolean',
  'empty',
  'remove-call',
  'return-early',
] as const
export type Operator = (typeof OPERATORS)[number]

export interface Site {
  /** From the tree's root. */
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly operator: Operator
  /** Where in the file's text `before` stands. */
  readonly at: number
  readonly before: string
  readonly after: string
}

export const mutated = (text: string, { at, before, after }: Site): string =>
  text.slice(0, at) + after + text.slice(at + before.length)

const SWAPPED: Partial<Record<SyntaxKind, readonly [Operator, string]>> = {
  [SyntaxKind.LessThanToken]: ['boundary', '<='],
  [SyntaxKind.LessThanEqualsToken]: ['boundary', '<'],
  [SyntaxKind.GreaterThanToken]: ['boundary', '>='],
  [SyntaxKind.GreaterThanEqualsToken]: ['boundary', '>'],
  [SyntaxKind.PlusToken]: ['arithmetic', '-'],
  [SyntaxKind.MinusToken]: ['arithmetic', '+'],
  [SyntaxKind.PlusEqualsToken]: ['arithmetic', '-='],
  [SyntaxKind.MinusEqualsToken]: ['arithmetic', '+='],
  [SyntaxKind.AmpersandAmpersandToken]: ['logical', '||'],
  [SyntaxKind.BarBarToken]: ['logical', '&&'],
}

/** Calls for people and for watching, and what only looks: without them nothing is lost. */
const SPECTATORS = /\b(logger|metrics|lines|story|drops|assert)\b|\.(inc|observe|warn|cork|uncork|unref)$/
/** Bounds of what a process may use, which differ by one from nothing that can be seen. */
const OF_A_BOUND = /_(MAX|MIN|MS|BYTES|RATIO|SECONDS|DEFAULT)$/
/** Larger numbers are sizes and times. */
const NUMBER_MAX = 256
/** A text for people has a space in it. */
const FOR_PEOPLE = /\s/

/** The sites of these files, each file's in its order. */
export function sitesOf(files: readonly string[]): ReadonlyMap<string, readonly Site[]> {
  const api = new API({ cwd: ROOT })
  try {
    const [project] = api.updateSnapshot({ openProjects: [`${ROOT}tsconfig.json`] }).getProjects()
    return new Map(
      files.map((file) => {
        const source = project?.program.getSourceFile(ROOT + file)
        if (source === undefined) throw new Error(`${file} is no source of the tree`)
        return [file, sitesIn(file, source)]
      }),
    )
  } finally {
    api.close()
  }
}

function sitesIn(file: string, source: SourceFile): Site[] {
  const { text } = source
  const sites: Site[] = []
  const add = (operator: Operator, from: number, to: number, after: string) => {
    const line = text.slice(0, from).split('\n').length
    sites.push({ file, line, operator, at: from, before: text.slice(from, to), after })
  }
  const replace = (operator: Operator, node: Node, after: string) =>
    add(operator, node.getStart(source), node.getEnd(), after)
  const negate = (condition: Expression) => replace('negate', condition, `!(${condition.getText(source)})`)

  const visit = (node: Node): void => {
    if (isImportDeclaration(node) || isTypeNode(node) || isThrowStatement(node) || isNewError(node, source)) return
    if (isCallExpression(node) && SPECTATORS.test(node.expression.getText(source))) return
    if (isIfStatement(node) || isWhileStatement(node)) negate(node.expression)
    else if (isConditionalExpression(node)) negate(node.condition)
    else if (isBinaryExpression(node)) {
      const [operator, after] = SWAPPED[node.operatorToken.kind] ?? []
      if (operator !== undefined && after !== undefined && !(operator === 'arithmetic' && joinsTexts(node, source)))
        replace(operator, node.operatorToken, after)
    } else if (isNumericLiteral(node)) {
      const value = Number(node.getText(source).replaceAll('_', ''))
      if (Number.isInteger(value) && value <= NUMBER_MAX && !isOfBound(node, source)) {
        replace('number', node, String(value + 1))
        if (value > 0) replace('number', node, String(value - 1))
      }
    } else if (node.kind === SyntaxKind.TrueKeyword) replace('boolean', node, 'false')
    else if (node.kind === SyntaxKind.FalseKeyword) replace('boolean', node, 'true')
    else if (isStringLiteral(node)) {
      const isWord = node.text !== '' && !FOR_PEOPLE.test(node.text)
      if (isWord && !isCaseClause(node.parent) && !isNameOf(node)) replace('empty', node, "''")
    } else if (isArrayLiteralExpression(node)) {
      if (node.elements.length > 0) replace('empty', node, '[]')
    } else if (isExpressionStatement(node)) {
      if (isRemovable(node.expression, source)) replace('remove-call', node, ';')
    }
    const body = isFunctionLikeDeclaration(node) && returnsNothing(node, source) ? node.body : undefined
    if (body !== undefined) add('return-early', body.getStart(source), body.getStart(source) + 1, '{ return;')
    node.forEachChild(visit)
  }
  source.forEachChild(visit)
  return sites
}

const isNewError = (node: Node, source: SourceFile) =>
  isNewExpression(node) && /Error$|^Rejection$|^Refusal$/.test(node.expression.getText(source))

/** A sum with a text in it is a text. */
const joinsTexts = (node: Node, source: SourceFile) => /['"`]/.test(node.getText(source))

function isRemovable(expression: Expression, source: SourceFile): boolean {
  const call = isAwaitExpression(expression) ? expression.expression : expression
  if (!isCallExpression(call) || call.expression.kind === SyntaxKind.SuperKeyword) return false
  return !SPECTATORS.test(call.expression.getText(source))
}

/** A function that says that it returns nothing, and does something. */
function returnsNothing(node: Node, source: SourceFile): boolean {
  if (!isFunctionLikeDeclaration(node) || node.type === undefined || node.body === undefined) return false
  const isBlock = node.body.kind === SyntaxKind.Block
  return isBlock && /^(void|Promise<void>)$/.test(node.type.getText(source)) && node.body.getFullText(source).length > 4
}

/** Whether it is the constant of a bound, or part of one. */
function isOfBound(node: Node, source: SourceFile): boolean {
  for (let above = node.parent; above.kind !== SyntaxKind.SourceFile; above = above.parent) {
    if (isVariableDeclaration(above)) return OF_A_BOUND.test(above.name.getText(source))
    if (!isBinaryExpression(above) && !isLiteralExpression(above)) return false
  }
  return false
}

/** `'a': 1`: the name of a property. */
const isNameOf = (node: Node) => isPropertyAssignment(node.parent) && node.parent.name === node
