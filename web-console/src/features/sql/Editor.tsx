import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import {
  bracketMatching,
  HighlightStyle,
  indentOnInput,
  syntaxHighlighting,
} from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState, type Extension, Prec } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
  placeholder,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import css from "./SqlEditor.module.css";

export type Mark = { from: number; to: number; message: string };

/** What is to be run: the selection, or everything without one, and what stands before it. */
export type Chosen = { sql: string; before: string };

/** What the page can ask of the editor. */
export type EditorHandle = {
  chosen: () => Chosen;
  focus: () => void;
};

const highlight = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--code-keyword)", fontWeight: "560" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--code-type)" },
  { tag: tags.comment, color: "var(--ink-3)", fontStyle: "italic" },
  { tag: tags.operator, color: "var(--ink-2)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", backgroundColor: "var(--surface)", color: "var(--ink)", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", lineHeight: "1.65" },
  ".cm-content": { padding: "12px 0", caretColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--ink-3)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 6px 0 12px" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--hover) 60%, transparent)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)", borderLeftWidth: "2px" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground":
    { backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)" },
  ".cm-placeholder": { color: "var(--ink-3)" },
  ".cm-tooltip": {
    backgroundColor: "var(--surface)",
    border: "1px solid var(--line-strong)",
    borderRadius: "8px",
    boxShadow: "var(--shadow-floating)",
  },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": {
    backgroundColor: "var(--hover)",
    color: "var(--ink)",
  },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--danger) 1.5px",
    textUnderlineOffset: "3px",
    backgroundColor: "var(--danger-soft)",
  },
  ".cm-diagnostic-error": { borderLeftColor: "var(--danger)" },
});

function extensions(
  label: string,
  hint: string,
  onChange: (sql: string) => void,
  onRun: () => void,
): Extension {
  return [
    Prec.highest(
      keymap.of([
        {
          key: "Mod-Enter",
          run: () => {
            onRun();
            return true;
          },
        },
      ]),
    ),
    lineNumbers(),
    history(),
    drawSelection(),
    indentOnInput(),
    bracketMatching(),
    closeBrackets(),
    autocompletion(),
    highlightActiveLine(),
    lintGutter(),
    sql({ dialect: PostgreSQL, upperCaseKeywords: false }),
    syntaxHighlighting(highlight),
    look,
    placeholder(hint),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ "aria-label": label }),
    keymap.of([
      ...closeBracketsKeymap,
      ...defaultKeymap,
      ...historyKeymap,
      ...completionKeymap,
      // Escape, then Tab, leaves the editor, as the library documents for keyboard users.
      indentWithTab,
    ]),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) onChange(update.state.doc.toString());
    }),
  ];
}

/**
 * The editor. However many tabs there are, there is one view: each tab is a state that is put
 * into it, with its own history and cursor.
 */
export default function Editor({
  tabId,
  sql: text,
  label,
  hint,
  mark,
  onChange,
  onRun,
  onReady,
}: {
  tabId: string;
  sql: string;
  label: string;
  hint: string;
  mark: Mark | undefined;
  onChange: (sql: string) => void;
  onRun: () => void;
  onReady: (handle: EditorHandle) => void;
}) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const states = useRef(new Map<string, EditorState>());
  const shown = useRef(tabId);
  const calls = useRef({ onChange, onRun });
  calls.current = { onChange, onRun };

  // biome-ignore lint/correctness/useExhaustiveDependencies: made once; tabs are put into it below
  useEffect(() => {
    if (host.current === null) return;
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({ doc: text, extensions: common() }),
    });
    view.current = editor;
    shown.current = tabId;
    onReady({ chosen: () => chosenIn(editor), focus: () => editor.focus() });
    editor.focus();
    return () => {
      editor.destroy();
      view.current = null;
    };
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: only a change of tab changes the state
  useEffect(() => {
    const editor = view.current;
    if (editor === null || shown.current === tabId) return;
    states.current.set(shown.current, editor.state);
    shown.current = tabId;
    editor.setState(
      states.current.get(tabId) ?? EditorState.create({ doc: text, extensions: common() }),
    );
    editor.focus();
  }, [tabId]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null) return;
    const length = editor.state.doc.length;
    const marks =
      mark === undefined || mark.from > length
        ? []
        : [
            {
              from: mark.from,
              to: Math.min(mark.to, length),
              message: mark.message,
              severity: "error" as const,
            },
          ];
    editor.dispatch(setDiagnostics(editor.state, marks));
    if (marks[0] !== undefined) {
      editor.dispatch({ effects: EditorView.scrollIntoView(marks[0].from, { y: "center" }) });
    }
  }, [mark]);

  function common(): Extension {
    return extensions(
      label,
      hint,
      (sql) => calls.current.onChange(sql),
      () => calls.current.onRun(),
    );
  }

  return <div ref={host} className={css.editor} />;
}

function chosenIn(editor: EditorView): Chosen {
  const { from, to } = editor.state.selection.main;
  if (from === to) return { sql: editor.state.doc.toString(), before: "" };
  return { sql: editor.state.sliceDoc(from, to), before: editor.state.sliceDoc(0, from) };
}
