//! Comma-separated values (RFC 4180), safe to open in a spreadsheet.

/// A table as CSV: rows end with CR and LF; what needs quotes has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Csv {
    text: String,
    row_begins: bool,
}

impl Csv {
    pub fn new() -> Self {
        Self {
            text: String::new(),
            row_begins: true,
        }
    }

    /// A cell of our own: a number, a date, an identifier.
    pub fn value(&mut self, value: impl std::fmt::Display) -> &mut Self {
        self.cell(&value.to_string())
    }

    /// A cell that somebody else wrote. Spreadsheets take a text that begins with one of `=+-@`, a
    /// tab or a return for a formula: an apostrophe in front makes it the text that it is.
    pub fn text(&mut self, text: &str) -> &mut Self {
        if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
            self.cell(&format!("'{text}"))
        } else {
            self.cell(text)
        }
    }

    /// A cell without a value.
    pub fn null(&mut self) -> &mut Self {
        self.cell("")
    }

    /// A cell of our own, or without a value.
    pub fn option(&mut self, value: Option<impl std::fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.value(value),
            None => self.null(),
        }
    }

    pub fn end_row(&mut self) {
        self.text.push_str("\r\n");
        self.row_begins = true;
    }

    pub fn finish(self) -> String {
        self.text
    }

    fn cell(&mut self, text: &str) -> &mut Self {
        if !self.row_begins {
            self.text.push(',');
        }
        self.row_begins = false;
        if text.contains([',', '"', '\r', '\n']) {
            self.text.push('"');
            self.text.push_str(&text.replace('"', "\"\""));
            self.text.push('"');
        } else {
            self.text.push_str(text);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_their_text_and_none_is_a_formula() {
        let mut csv = Csv::new();
        csv.text("=1+1")
            .text("@a, \"b\"")
            .text("-x")
            .value(-5)
            .null();
        csv.end_row();
        csv.text("plain")
            .text("two\nlines")
            .option(Some(3))
            .option(None::<u8>)
            .text("");
        csv.end_row();
        assert_eq!(
            csv.finish(),
            "'=1+1,\"'@a, \"\"b\"\"\",'-x,-5,\r\nplain,\"two\nlines\",3,,\r\n"
        );
    }
}
