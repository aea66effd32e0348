// Two texts of one file that became different: side by side, or in one column where there is little
// room. What is theirs stands still, what is mine can be edited and can take over theirs bit by bit.

import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { MergeView, unifiedMergeView } from '@codemirror/merge';
import { Compartment, EditorState } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import { StyleModule } from 'style-mod';

import { highlight, rootOf, shared } from './base.mjs';
import { formOf, linesOf, textOf } from './text.mjs';

/** Widths below which there is one column, in CSS pixels. */
const NARROW = 720;

const around = new StyleModule({
  '.cm-mergeView': { height: '100%', overflow: 'auto' },
  '.cm-mergeViewEditors': { minHeight: '100%' },
  '.cm-merge-a': { borderRight: 'var(--hair)' },
  '.cm-mergeView .cm-merge-revert': { width: '1.75rem', background: 'var(--sunken)' },
  '.cm-mergeView .cm-merge-revert button': {
    width: '100%', height: '1.5rem', padding: '0', border: 'none', background: 'none',
    color: 'var(--text)', fontSize: 'var(--size-text)', cursor: 'pointer',
  },
  '.cm-mergeView .cm-merge-revert button:hover': { background: 'var(--pressed)' },
  '.cm-mergeView .cm-merge-revert button:focus-visible': {
    outline: '2px solid var(--focus)', outlineOffset: '-2px',
  },
});

const collapseUnchanged = { margin: 3, minSize: 8 };

function takeTheirs() {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = '→';
  button.title = 'Take this from theirs';
  button.setAttribute('aria-label', button.title);
  return button;
}

function choice(kind, act) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = kind === 'accept' ? 'Keep mine here' : 'Take theirs here';
  button.addEventListener('mousedown', (event) => event.preventDefault());
  button.addEventListener('click', act);
  return button;
}

/** The two texts; `text()` of the answer is mine as it was edited since. */
export function mountConflict(parent, { mine, theirs, path }) {
  const root = rootOf(parent);
  StyleModule.mount(root, around);
  const [form, language] = [formOf(mine), new Compartment()];
  const [doc, other] = [linesOf(mine, form), linesOf(theirs, formOf(theirs))];
  const own = [
    form.separator,
    language.of([]),
    shared(mine, { path, label: 'Mine' }),
    history(),
    keymap.of([...historyKeymap, ...defaultKeymap, indentWithTab]),
  ];
  const narrow = parent.clientWidth < NARROW;
  const shown = narrow ? oneColumn(root, doc, other, own) : twoColumns(root, doc, other, own, language, { theirs, path });
  highlight(path, (found) => {
    for (const view of shown.views()) view.dispatch({ effects: language.reconfigure(found) });
  });
  return {
    text: () => textOf(shown.mine.state.doc, form),
    focus: () => shown.mine.focus(),
    destroy: () => shown.destroy(),
  };
}

function twoColumns(root, doc, other, own, language, { theirs, path }) {
  const merge = new MergeView({
    root,
    parent: root,
    a: { doc: other, extensions: [language.of([]), shared(theirs, { path, label: 'Theirs', readonly: true })] },
    b: { doc, extensions: own },
    revertControls: 'a-to-b',
    renderRevertControl: takeTheirs,
    collapseUnchanged,
  });
  return living(merge.b, [merge.a, merge.b], merge);
}

function oneColumn(root, doc, other, own) {
  const unified = unifiedMergeView({ original: other, mergeControls: choice, collapseUnchanged });
  const state = EditorState.create({ doc, extensions: [own, unified] });
  const view = new EditorView({ root, parent: root, state });
  return living(view, [view], view);
}

function living(mine, views, whole) {
  let alive = true;
  return {
    mine,
    views: () => (alive ? views : []),
    destroy() {
      alive = false;
      whole.destroy();
    },
  };
}
