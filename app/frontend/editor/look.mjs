// How an editor looks: classes whose colours are the tokens of the page around it.

import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { EditorView } from '@codemirror/view';
import { tags } from '@lezer/highlight';

const code = HighlightStyle.define([
  { tag: [tags.comment, tags.meta], color: 'var(--code-comment)' },
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword, tags.tagName], color: 'var(--code-keyword)' },
  { tag: [tags.string, tags.regexp, tags.special(tags.string)], color: 'var(--code-string)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom, tags.escape], color: 'var(--code-number)' },
  { tag: [tags.typeName, tags.className, tags.namespace, tags.macroName], color: 'var(--code-type)' },
  {
    tag: [
      tags.function(tags.variableName), tags.function(tags.propertyName), tags.definition(tags.propertyName),
      tags.attributeName, tags.propertyName, tags.labelName,
    ],
    color: 'var(--code-name)',
  },
  { tag: tags.heading, color: 'var(--code-keyword)', fontWeight: '600' },
  { tag: [tags.link, tags.url], color: 'var(--code-string)', textDecoration: 'underline' },
  { tag: tags.strong, fontWeight: '600' },
  { tag: tags.emphasis, fontStyle: 'italic' },
  { tag: tags.strikethrough, textDecoration: 'line-through' },
]);

const added = { background: 'var(--good-soft)' };
const removed = { background: 'var(--bad-soft)' };

const frame = EditorView.theme({
  '&': { height: '100%', color: 'var(--text)', backgroundColor: 'var(--ground)', fontSize: 'var(--size-ui)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.6' },
  '.cm-content': { caretColor: 'var(--text)', padding: 'var(--s2) 0' },
  '.cm-line': { padding: '0 var(--s4) 0 var(--s3)' },
  '.cm-content ::selection, .cm-line::selection': { backgroundColor: 'var(--code-selection)' },
  '&.cm-editor .cm-gutters': {
    color: 'var(--text-faint)', backgroundColor: 'var(--ground)', border: 'none', borderRight: 'var(--hair)',
  },
  '.cm-lineNumbers .cm-gutterElement': { padding: '0 var(--s2) 0 var(--s4)' },
  '&.cm-editor .cm-activeLine': { backgroundColor: 'transparent' },
  '&.cm-focused .cm-activeLine': { boxShadow: 'inset 0 0 0 100vmax var(--code-line)' },
  '&.cm-editor .cm-activeLineGutter': { color: 'var(--text)', backgroundColor: 'transparent' },
  '&.cm-editor .cm-specialChar': { color: 'var(--bad)' },
  '&.cm-editor.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--pressed)' },
  '&.cm-editor.cm-focused .cm-nonmatchingBracket': { backgroundColor: 'var(--bad-soft)' },
  '&.cm-editor .cm-selectionMatch': { backgroundColor: 'var(--pressed)' },
  '&.cm-editor .cm-searchMatch': { backgroundColor: 'var(--waiting-soft)', outline: '1px solid var(--waiting)' },
  '&.cm-editor .cm-searchMatch-selected': { outlineWidth: '2px' },
});

const panels = EditorView.theme({
  '&.cm-editor .cm-panels': { color: 'var(--text)', backgroundColor: 'var(--sunken)', fontFamily: 'var(--sans)' },
  '&.cm-editor .cm-panels-top': { borderBottom: 'var(--hair)' },
  '&.cm-editor .cm-panel': { padding: 'var(--s2) var(--s8) var(--s2) var(--s3)' },
  '&.cm-editor .cm-panel label': { fontSize: 'var(--size-small)' },
  '&.cm-editor .cm-panel [name=close]': { color: 'var(--text-soft)', top: 'var(--s1)', right: 'var(--s2)' },
  '&.cm-editor .cm-textfield': {
    color: 'var(--text)', backgroundColor: 'var(--ground)', border: '1px solid var(--line-strong)',
    borderRadius: 'var(--radius)', padding: '2px var(--s2)', fontSize: 'var(--size-ui)',
  },
  '&.cm-editor .cm-button': {
    color: 'var(--text)', background: 'var(--raised)', border: '1px solid var(--line-strong)',
    borderRadius: 'var(--radius)', padding: '2px var(--s2)', fontSize: 'var(--size-small)',
  },
  '& :focus-visible:not(.cm-content)': { outline: '2px solid var(--focus)', outlineOffset: '1px' },
});

const changes = EditorView.theme({
  '&.cm-merge-a .cm-changedLine, & .cm-deletedChunk': removed,
  '&.cm-merge-b .cm-changedLine, & .cm-inlineChangedLine, & .cm-insertedLine': added,
  '&.cm-merge-a .cm-changedText, & .cm-deletedChunk .cm-deletedText': {
    background: 'none', textDecoration: 'underline 2px var(--bad)', textUnderlineOffset: '3px',
  },
  '&.cm-merge-b .cm-changedText': {
    background: 'none', textDecoration: 'underline 2px var(--good)', textUnderlineOffset: '3px',
  },
  '&.cm-merge-a .cm-changedLineGutter, & .cm-deletedLineGutter': { background: 'var(--bad)' },
  '&.cm-merge-b .cm-changedLineGutter': { background: 'var(--good)' },
  '& .cm-collapsedLines': {
    color: 'var(--text-soft)', background: 'var(--sunken)', fontFamily: 'var(--sans)',
    fontSize: 'var(--size-small)', padding: 'var(--s1) var(--s3)',
  },
  '& .cm-deletedChunk': { position: 'relative', padding: '0 var(--s4) 0 var(--s3)' },
  '& .cm-deletedChunk .cm-chunkButtons': { position: 'static', display: 'flex', gap: 'var(--s1)', padding: 'var(--s1) 0' },
  '& .cm-chunkButtons button': {
    color: 'var(--text)', background: 'var(--raised)', border: '1px solid var(--line-strong)',
    borderRadius: 'var(--radius)', padding: '2px var(--s2)', margin: '0', minHeight: '1.625rem',
    fontFamily: 'var(--sans)', fontSize: 'var(--size-small)', cursor: 'pointer',
  },
});

export const look = [frame, panels, changes, syntaxHighlighting(code)];
