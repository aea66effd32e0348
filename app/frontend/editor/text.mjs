// Texts as lines, and back to the very same bytes.

import { EditorState, Text } from '@codemirror/state';
import { EditorView } from '@codemirror/view';

/** A line ends with a line feed and nothing else, also in what is pasted. */
const feedsAlone = [
  EditorState.lineSeparator.of('\n'),
  EditorView.clipboardInputFilter.of((text) => text.replace(/\r\n?/g, '\n')),
];

/**
 * How a text ends its lines. Where all end alike, what is typed and pasted ends like them. Where they
 * do not, only a line feed ends a line, and carriage returns are characters that can be seen.
 */
export function formOf(text) {
  const feeds = text.split('\n').length - 1;
  const pairs = text.split('\r\n').length - 1;
  const returns = text.split('\r').length - 1;
  if (returns > pairs || (pairs > 0 && pairs < feeds)) {
    return { end: '\n', split: '\n', separator: feedsAlone };
  }
  return { end: pairs > 0 ? '\r\n' : '\n', split: /\r?\n/, separator: [] };
}

export function linesOf(text, { split }) {
  return Text.of(text.split(split));
}

export function textOf(lines, { end }) {
  return lines.sliceString(0, lines.length, end);
}

/** What one step of indentation is, by the first lines that are indented. */
export function indentOf(text) {
  const indents = text.slice(0, 50_000).match(/^(\t| {2,8})(?=\S)/gm) ?? [];
  if (indents.filter((indent) => indent === '\t').length * 2 > indents.length) return '\t';
  return ' '.repeat(Math.min(4, ...indents.filter((indent) => indent !== '\t').map(({ length }) => length)));
}
