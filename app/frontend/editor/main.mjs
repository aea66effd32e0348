// The console's editor of files. It is a module of its own, fetched by the pages that edit. It lives
// in a shadow root: there its styles are constructed sheets, which the policy of a page allows, and
// the page's own styles stay out. Colours come in through the custom properties of the tokens.

import { defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory } from '@codemirror/commands';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { Compartment, EditorState } from '@codemirror/state';
import { EditorView, highlightActiveLine, highlightActiveLineGutter, keymap } from '@codemirror/view';

import { highlight, rootOf, shared } from './base.mjs';
import { formOf, linesOf, textOf } from './text.mjs';

export { mountConflict } from './conflict.mjs';

/**
 * An editor. `onChange` is told whether its text differs from what was set or saved last. A text
 * keeps the ends of its lines: `text()` gives back what `set()` took.
 */
export function mount(parent, { text, path, label = path, readonly = false, onChange, onSave }) {
  const root = rootOf(parent);
  const [separator, language] = [new Compartment(), new Compartment()];
  let form = formOf(text);
  let alive = true;
  const told = EditorView.updateListener.of((update) => {
    if (update.docChanged) onChange?.(changed());
  });
  const save = () => {
    onSave?.();
    return true;
  };
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: linesOf(text, form),
      extensions: [
        separator.of(form.separator),
        language.of([]),
        shared(text, { path, label, readonly }),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        highlightSelectionMatches(),
        history(),
        search({ top: true }),
        keymap.of([
          { key: 'Mod-s', preventDefault: true, run: save },
          ...searchKeymap, ...historyKeymap, ...defaultKeymap, indentWithTab,
        ]),
        told,
      ],
    }),
  });
  let clean = view.state.doc;
  let taken = clean;
  const changed = () => !view.state.doc.eq(clean);
  highlight(path, (found) => {
    if (alive) view.dispatch({ effects: language.reconfigure(found) });
  });
  return {
    /** The text as it is now; `saved()` is about this one. */
    text() {
      taken = view.state.doc;
      return textOf(taken, form);
    },
    /** The text that was taken last is where changes begin now. */
    saved() {
      clean = taken;
      onChange?.(changed());
    },
    /** Another text, which can be undone, as where changes begin. */
    set(next) {
      form = formOf(next);
      const doc = linesOf(next, form);
      clean = doc;
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: doc },
        selection: { anchor: Math.min(view.state.selection.main.anchor, doc.length) },
        effects: separator.reconfigure(form.separator),
        // Or what was typed just before would be undone with it.
        annotations: isolateHistory.of('full'),
      });
      onChange?.(changed());
    },
    focus: () => view.focus(),
    /** Goes to a line, counted from 1, or to the last one. */
    goTo(number) {
      const line = view.state.doc.line(Math.min(Math.max(number, 1), view.state.doc.lines));
      view.dispatch({
        selection: { anchor: line.from },
        effects: EditorView.scrollIntoView(line.from, { y: 'center' }),
      });
    },
    destroy() {
      alive = false;
      view.destroy();
    },
  };
}
