// What an editor and the view of a conflict have in common.

import { bracketMatching, indentOnInput, indentUnit } from '@codemirror/language';
import { EditorState } from '@codemirror/state';
import { EditorView, highlightSpecialChars, lineNumbers } from '@codemirror/view';

import { isProse, languageOf } from './languages.mjs';
import { look } from './look.mjs';
import { indentOf } from './text.mjs';

/** Where an editor is put: the same shadow root each time, empty. */
export function rootOf(parent) {
  const root = parent.shadowRoot ?? rootWithKeys(parent);
  root.replaceChildren();
  return root;
}

/** What is typed is not for the page: it sees only the host, and would take letters for shortcuts. */
function rootWithKeys(parent) {
  parent.addEventListener('keydown', (event) => {
    if (!event.ctrlKey && !event.metaKey) event.stopPropagation();
  });
  return parent.attachShadow({ mode: 'open' });
}

/** What all views of a text have, editable or not. */
export function shared(text, { path, label, readonly = false }) {
  return [
    lineNumbers(),
    highlightSpecialChars(),
    bracketMatching(),
    indentOnInput(),
    indentUnit.of(indentOf(text)),
    isProse(path) ? EditorView.lineWrapping : [],
    EditorState.readOnly.of(readonly),
    EditorView.contentAttributes.of({
      'aria-label': label, autocapitalize: 'off', spellcheck: 'false', tabindex: '0',
    }),
    look,
  ];
}

/** Fetches what highlights a file, and adds it where that is still wanted. */
export async function highlight(path, add) {
  const language = await languageOf(path).catch(() => null);
  if (language) add(language);
}
