//! Changes of the source as SQL for the target. Pure.
//!
//! Values stay the texts that the source wrote: as literals of no type they are read by the types of
//! the columns that they are compared with or put into.

use super::pgoutput::{Relation, Value};
use postgres_protocol::escape::{escape_identifier, escape_literal};

/// Bytes of SQL that go to the target at once; one row may be larger.
const BATCH_BYTES: usize = 256 * 1024;

/// Statements that go to the target at once: each is planned by itself.
const BATCH_STATEMENTS: usize = 1000;

/// Ends a statement.
const END: &str = ";\n";

/// Why a change cannot be written as a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// More or fewer values than the table has columns.
    #[error("its columns are not those that the source named")]
    Columns,
    #[error("it has no replica identity")]
    NoIdentity,
}

/// A table of the source's, and how its rows are told apart at the target.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) relation: Relation,
    /// Columns that no two rows share; `None`: rows may be the same, and one of them is meant.
    key: Option<Vec<usize>>,
    name: String,
}

impl Table {
    /// `primary_key`: of the table at the target, for those whose whole row is their identity.
    pub(super) fn new(relation: Relation, primary_key: &[String]) -> Self {
        let columns = &relation.columns;
        let key = if relation.is_full {
            let places = primary_key
                .iter()
                .map(|name| columns.iter().position(|column| column.name == *name));
            let places: Option<Vec<_>> = places.collect();
            places.filter(|places| !places.is_empty())
        } else {
            let flagged = columns.iter().enumerate();
            Some(
                flagged
                    .filter(|(_, column)| column.is_key)
                    .map(|(place, _)| place)
                    .collect(),
            )
        };
        let name = format!(
            "{}.{}",
            escape_identifier(&relation.schema),
            escape_identifier(&relation.name)
        );
        Self {
            relation,
            key,
            name,
        }
    }

    /// As people write it.
    pub(super) fn label(&self) -> String {
        format!("{}.{}", self.relation.schema, self.relation.name)
    }

    fn column(&self, place: usize) -> String {
        escape_identifier(&self.relation.columns[place].name)
    }

    fn insert_head(&self) -> String {
        let columns: Vec<_> = (0..self.relation.columns.len())
            .map(|place| self.column(place))
            .collect();
        format!("insert into {} ({}) values ", self.name, columns.join(", "))
    }

    /// The condition that finds the row `old`.
    fn row(&self, old: &[Value]) -> Result<String, Unusable> {
        let Some(key) = &self.key else {
            let all: Vec<_> = old
                .iter()
                .enumerate()
                .map(|at| self.same_text(at))
                .collect();
            let Some(all) = all.into_iter().reduce(|a, b| format!("{a} and {b}")) else {
                return Err(Unusable::NoIdentity);
            };
            return Ok(format!(
                "ctid = (select ctid from only {} where {all} limit 1)",
                self.name
            ));
        };
        if key.is_empty() {
            return Err(Unusable::NoIdentity);
        }
        let mut conditions = Vec::with_capacity(key.len());
        for place in key {
            let Some(Value::Text(text)) = old.get(*place) else {
                return Err(Unusable::NoIdentity);
            };
            conditions.push(format!(
                "{} = {}",
                self.column(*place),
                escape_literal(text)
            ));
        }
        Ok(conditions.join(" and "))
    }

    /// Whether a column holds a value, by the text of both: not every type has an equality, and that
    /// of some calls different texts equal.
    fn same_text(&self, (place, value): (usize, &Value)) -> String {
        let column = self.column(place);
        match value {
            Value::Text(text) => format!(
                "({column} is not null and pg_catalog.concat({column}) = {})",
                escape_literal(text)
            ),
            Value::Null | Value::Unchanged => format!("{column} is null"),
        }
    }

    fn update(&self, old: Option<&[Value]>, new: &[Value]) -> Result<Option<String>, Unusable> {
        self.fits(new)?;
        let row = match old {
            Some(old) => {
                self.fits(old)?;
                self.row(old)?
            }
            None => self.row(new)?,
        };
        let set: Vec<_> = new
            .iter()
            .enumerate()
            .filter_map(|(place, value)| {
                let value = match value {
                    Value::Unchanged => return None,
                    Value::Null => "null".into(),
                    Value::Text(text) => escape_literal(text),
                };
                Some(format!("{} = {value}", self.column(place)))
            })
            .collect();
        if set.is_empty() {
            return Ok(None);
        }
        let set = set.join(", ");
        Ok(Some(format!(
            "update only {} set {set} where {row}",
            self.name
        )))
    }

    fn delete(&self, old: &[Value]) -> Result<String, Unusable> {
        self.fits(old)?;
        let row = self.row(old)?;
        Ok(format!("delete from only {} where {row}", self.name))
    }

    fn fits(&self, values: &[Value]) -> Result<(), Unusable> {
        if values.len() == self.relation.columns.len() {
            return Ok(());
        }
        Err(Unusable::Columns)
    }
}

/// What a statement of a batch is, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The table that it changes; `None` for those of our own.
    pub(super) table: Option<u32>,
    /// Rows that it has to change; `None`: any number.
    pub(super) rows: Option<u64>,
}

/// Statements that go to the target in one message.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) sql: String,
    pub(super) steps: Vec<Step>,
    /// The last statement inserts into this table, and takes more rows.
    inserting: Option<u32>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.sql.len() >= BATCH_BYTES || self.steps.len() >= BATCH_STATEMENTS
    }

    /// A statement of our own.
    pub(super) fn own(&mut self, sql: &str) {
        self.push(sql, None, None);
    }

    /// One of our own that changes a row.
    pub(super) fn own_row(&mut self, sql: &str) {
        self.push(sql, None, Some(1));
    }

    pub(super) fn insert(&mut self, table: &Table, new: &[Value]) -> Result<(), Unusable> {
        table.fits(new)?;
        let id = table.relation.id;
        if new.is_empty() {
            let sql = format!("insert into {} default values", table.name);
            self.push(&sql, Some(id), Some(1));
            return Ok(());
        }
        if self.inserting == Some(id) {
            // Takes back the end of the statement.
            self.sql.truncate(self.sql.len() - END.len());
            self.sql.push_str(", ");
            if let Some(rows) = self.steps.last_mut().and_then(|step| step.rows.as_mut()) {
                *rows += 1;
            }
        } else {
            self.steps.push(Step {
                table: Some(id),
                rows: Some(1),
            });
            self.sql.push_str(&table.insert_head());
            self.inserting = Some(id);
        }
        self.sql.push('(');
        for (place, value) in new.iter().enumerate() {
            if place > 0 {
                self.sql.push_str(", ");
            }
            match value {
                Value::Text(text) => self.sql.push_str(&escape_literal(text)),
                Value::Null | Value::Unchanged => self.sql.push_str("null"),
            }
        }
        self.sql.push(')');
        self.sql.push_str(END);
        Ok(())
    }

    pub(super) fn update(
        &mut self,
        table: &Table,
        old: Option<&[Value]>,
        new: &[Value],
    ) -> Result<(), Unusable> {
        if let Some(sql) = table.update(old, new)? {
            self.push(&sql, Some(table.relation.id), Some(1));
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, table: &Table, old: &[Value]) -> Result<(), Unusable> {
        let sql = table.delete(old)?;
        self.push(&sql, Some(table.relation.id), Some(1));
        Ok(())
    }

    /// Empties tables, and no others than these.
    pub(super) fn truncate(&mut self, tables: &[&Table]) {
        let names: Vec<_> = tables
            .iter()
            .map(|table| format!("only {}", table.name))
            .collect();
        if let Some(first) = tables.first() {
            let sql = format!("truncate {}", names.join(", "));
            self.push(&sql, Some(first.relation.id), None);
        }
    }

    fn push(&mut self, sql: &str, table: Option<u32>, rows: Option<u64>) {
        self.inserting = None;
        self.sql.push_str(sql);
        self.sql.push_str(END);
        self.steps.push(Step { table, rows });
    }
}

#[cfg(test)]
mod tests {
    use super::super::pgoutput::Column;
    use super::*;

    fn table(is_full: bool, primary_key: &[&str]) -> Table {
        let column = |name: &str| Column {
            name: name.into(),
            is_key: is_full || name == "id",
        };
        let relation = Relation {
            id: 5,
            schema: "Odd name".into(),
            name: "orders".into(),
            is_full,
            columns: ["id", "note", "data"].map(column).into(),
        };
        let primary_key: Vec<_> = primary_key.iter().map(|name| (*name).to_owned()).collect();
        Table::new(relation, &primary_key)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn rows_of_one_table_are_inserted_together() {
        let orders = table(false, &[]);
        let mut batch = Batch::default();
        let rows = [
            [text("1"), text("it's; \\ \n"), Value::Null],
            [text("2"), text(");\n"), text("")],
        ];
        for row in &rows {
            batch.insert(&orders, row).expect("fits");
        }
        assert_eq!(
            batch.sql,
            "insert into \"Odd name\".\"orders\" (\"id\", \"note\", \"data\") values \
             ('1',  E'it''s; \\\\ \n', null), ('2', ');\n', '');\n"
        );
        let step = |rows| Step {
            table: Some(5),
            rows: Some(rows),
        };
        assert_eq!(batch.steps, [step(2)]);
        batch.own("select 1");
        batch.insert(&orders, &rows[0]).expect("fits");
        assert_eq!(batch.steps.len(), 3);
        assert_eq!(batch.insert(&orders, &rows[0][..2]), Err(Unusable::Columns));
    }

    #[test]
    fn a_row_is_found_by_its_key_and_keeps_what_was_not_sent() {
        let orders = table(false, &[]);
        let new = [text("2"), Value::Null, Value::Unchanged];
        let update = "update only \"Odd name\".\"orders\" set \"id\" = '2', \"note\" = null where";
        assert_eq!(
            orders.update(None, &new),
            Ok(Some(format!("{update} \"id\" = '2'")))
        );
        let old = [text("1"), Value::Null, Value::Null];
        assert_eq!(
            orders.update(Some(&old), &new),
            Ok(Some(format!("{update} \"id\" = '1'")))
        );
        assert_eq!(
            orders.delete(&old),
            Ok("delete from only \"Odd name\".\"orders\" where \"id\" = '1'".into())
        );
        let nothing = [Value::Unchanged, Value::Unchanged, Value::Unchanged];
        assert_eq!(orders.update(Some(&old), &nothing), Ok(None));
        let lost = [Value::Null, Value::Null, Value::Null];
        assert_eq!(orders.delete(&lost), Err(Unusable::NoIdentity));
    }

    #[test]
    fn of_rows_without_a_key_one_is_meant_and_a_primary_key_is_used_where_there_is_one() {
        let old = [text("1"), Value::Null, text("{}")];
        let found = table(true, &[]).delete(&old).expect("a statement");
        assert_eq!(
            found,
            "delete from only \"Odd name\".\"orders\" where ctid = (select ctid from only \
             \"Odd name\".\"orders\" where (\"id\" is not null and pg_catalog.concat(\"id\") = '1') \
             and \"note\" is null and (\"data\" is not null and pg_catalog.concat(\"data\") = '{}') \
             limit 1)"
        );
        let found = table(true, &["id"]).delete(&old).expect("a statement");
        assert!(found.ends_with(" where \"id\" = '1'"), "{found}");
        // One that the source does not send cannot be looked for.
        let found = table(true, &["gone"]).delete(&old).expect("a statement");
        assert!(found.contains("ctid"), "{found}");
    }

    #[test]
    fn only_the_tables_that_are_named_are_emptied() {
        let orders = table(false, &[]);
        let mut batch = Batch::default();
        batch.truncate(&[&orders, &orders]);
        assert_eq!(
            batch.sql,
            "truncate only \"Odd name\".\"orders\", only \"Odd name\".\"orders\";\n"
        );
        assert_eq!(batch.steps[0].rows, None);
    }
}
