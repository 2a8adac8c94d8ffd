use rusqlite::{CachedStatement, Connection, Result, Statement};

/// Inserts rows into one table, many with one statement: to begin and end one costs SQLite as much as to insert a row
/// or two, since it opens the table and every index of it.
pub(crate) struct Inserts<'c> {
    connection: &'c Connection,
    /// `INSERT … VALUES`, and the parameters of one row.
    head: &'static str,
    row: &'static str,
    columns: usize,
    /// For so many rows each.
    statements: [(usize, Option<CachedStatement<'c>>); 5],
}

impl<'c> Inserts<'c> {
    /// `sql` inserts one row: it ends with the list of parameters.
    pub(crate) fn new(connection: &'c Connection, sql: &'static str) -> Self {
        let (head, row) = sql.trim_end().rsplit_once("VALUES").unwrap_or((sql, ""));
        let columns = row.matches('?').count();
        Self { connection, head, row, columns, statements: [64, 16, 4, 2, 1].map(|rows| (rows, None)) }
    }

    /// A statement keeps copies of its values until it gets others; of more bytes than this, it does not.
    const KEPT_BYTES: usize = 256 << 10;

    /// Inserts `rows` in their order. `bind` gives one row's parameters, from an index on, and says how large they are.
    pub(crate) fn insert<R>(
        &mut self,
        mut rows: &[R],
        bind: impl Fn(&mut Statement<'_>, usize, &R) -> Result<usize>,
    ) -> Result<()> {
        for (size, prepared) in &mut self.statements {
            while rows.len() >= *size {
                let statement = match prepared {
                    Some(statement) => statement,
                    None => {
                        let values = vec![self.row; *size].join(",");
                        let statement = format!("{}VALUES{values}", self.head);
                        prepared.insert(self.connection.prepare_cached(&statement)?)
                    }
                };
                let (now, later) = rows.split_at(*size);
                let mut bytes = 0;
                for (index, row) in now.iter().enumerate() {
                    bytes += bind(statement, index * self.columns + 1, row)?;
                }
                let done = statement.raw_execute();
                if bytes > Self::KEPT_BYTES {
                    statement.clear_bindings();
                }
                done?;
                rows = later;
            }
        }
        Ok(())
    }
}
