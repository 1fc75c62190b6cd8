import { describe, expect, it } from "vitest";
import { isNumeric, toCsv, toJson } from "./export";
import { editorOffset, lineAt, wordAt } from "./position";
import { lossesOf, splitStatements } from "./statements";
import { changeTabs, emptyTabs, isTabs, tabLabel } from "./tabs";

describe("statements", () => {
  it("are split at semicolons, but not inside strings, comments, names and bodies", () => {
    const sql = `select ';'; select ";" -- ;
      from t /* ; /* nested ; */ */; do $x$ begin; end $x$; select E'\\';'`;
    expect(splitStatements(sql)).toHaveLength(4);
    expect(splitStatements("select $1; select a$b$;")).toHaveLength(2);
    expect(splitStatements(" ; ;\n")).toHaveLength(0);
    expect(splitStatements("select 'never closed; drop table x")).toHaveLength(1);
  });

  it("that take something away are found", () => {
    expect(lossesOf("DROP TABLE orders")).toEqual(["drop"]);
    expect(lossesOf("select 1; truncate orders, items")).toEqual(["truncate"]);
    expect(lossesOf("delete from orders")).toEqual(["deleteAll"]);
    expect(lossesOf("update orders set total = 0 returning id")).toEqual(["updateAll"]);
    expect(lossesOf("with x as (select 1) delete from orders")).toEqual(["deleteAll"]);
    expect(lossesOf("alter table orders drop column total")).toEqual(["dropColumn"]);
    expect(lossesOf("delete from a; delete from b")).toEqual(["deleteAll"]);
  });

  it("that only look so are let through", () => {
    for (const harmless of [
      "delete from orders where id = 1",
      "update orders set total = 0 where id in (select 1)",
      "select 'drop table orders'",
      "-- drop table orders\nselect 1",
      "insert into log values ($$delete from orders$$)",
      'select "drop" from t for update',
      "alter table orders alter column total drop not null",
      "alter table orders drop constraint positive",
      "create table dropped (id int)",
    ]) {
      expect(lossesOf(harmless), harmless).toEqual([]);
    }
  });
});

describe("an error's position", () => {
  it("counts characters, where the editor counts UTF-16 units", () => {
    expect(editorOffset("select 1", 1)).toBe(0);
    expect(editorOffset("😀 form", 3)).toBe(3);
    expect(editorOffset("ab", 99)).toBe(2);
    expect(lineAt("😀 a\nform", 5)).toEqual({ line: 2, column: 1 });
    expect(lineAt("😀 a", 3)).toEqual({ line: 1, column: 3 });
  });

  it("marks the word that begins there", () => {
    expect(wordAt("select *\nform orders", 9)).toEqual({ from: 9, to: 13 });
    expect(wordAt("select", 6)).toEqual({ from: 5, to: 6 });
    expect(wordAt("", 0)).toEqual({ from: 0, to: 0 });
  });
});

describe("an export", () => {
  const columns = [
    { name: "id", type: "int8" },
    { name: "no,te", type: "text" },
    { name: "id", type: "int4" },
    { name: "ok", type: "bool" },
    { name: "doc", type: "jsonb" },
  ];
  const rows = [
    ["9007199254740993", 'say "hi"\nthere', "7", "t", '{"a": [1]}'],
    [null, "", null, "f", null],
  ];

  it("as CSV quotes what needs it, and tells null from empty", () => {
    expect(toCsv({ columns, rows })).toBe(
      'id,"no,te",id,ok,doc\r\n9007199254740993,"say ""hi""\nthere",7,t,"{""a"": [1]}"\r\n,"",,f,\r\n',
    );
  });

  it("as JSON rounds no number and loses no column", () => {
    expect(JSON.parse(toJson({ columns, rows }))).toEqual([
      { id: "9007199254740993", "no,te": 'say "hi"\nthere', id_2: 7, ok: true, doc: { a: [1] } },
      { id: null, "no,te": "", id_2: null, ok: false, doc: null },
    ]);
  });

  it("knows numbers, which stand at the right", () => {
    expect(["int8", "numeric", "float8", "double precision"].every(isNumeric)).toBe(true);
    expect(["text", "interval", "int4range", "timestamptz"].map(isNumeric)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});

describe("tabs", () => {
  it("open, close and never run out", () => {
    let state = emptyTabs("Query");
    const first = state.activeId;
    state = changeTabs(state, { type: "open", title: "Query" });
    expect(state.tabs.map(({ title }) => title)).toEqual(["Query", "Query 2"]);
    state = changeTabs(state, { type: "close", id: state.activeId, title: "Query" });
    expect(state.activeId).toBe(first);
    state = changeTabs(state, { type: "close", id: first, title: "Query" });
    expect(state.tabs).toHaveLength(1);
  });

  it("are called by their first words", () => {
    expect(tabLabel({ id: "1", title: "Query", sql: "" })).toBe("Query");
    expect(tabLabel({ id: "1", title: "Query", sql: "-- why\nselect  1" })).toBe("select 1");
  });

  it("kept by something else are not taken", () => {
    expect(isTabs({ tabs: [{ id: "a", title: "b", sql: "c" }], activeId: "a" })).toBe(true);
    for (const other of [
      null,
      7,
      {},
      { tabs: [], activeId: "a" },
      { tabs: [{ id: 1 }], activeId: 1 },
    ]) {
      expect(isTabs(other)).toBe(false);
    }
  });
});
