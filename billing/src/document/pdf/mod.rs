//! A document as a PDF: real text in embedded fonts, over as many pages as it takes.
//!
//! - [`font`]: texts to glyphs, and their widths.
//! - [`canvas`]: pages that are drawn on.
//! - [`sheet`]: what stands where.
//! - [`write`](mod@write): the file.

mod canvas;
mod font;
mod sheet;
mod write;

use super::content::Document;
use canvas::Canvas;
use font::Fonts;

/// Why there is no PDF. Not because of what a document says: whatever that is, it can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PdfError {
    #[error("the font {0} that we were built with cannot be read")]
    Font(&'static str),
}

impl Document {
    /// The whole file.
    ///
    /// # Errors
    /// See [`PdfError`].
    pub fn pdf(&self) -> Result<Vec<u8>, PdfError> {
        let mut canvas = Canvas::new(Fonts::read()?);
        sheet::draw(&mut canvas, self);
        write::write(
            canvas,
            &write::About {
                title: &self.title(),
                author: &self.seller.name,
                at: self.issued_at,
            },
        )
    }
}
