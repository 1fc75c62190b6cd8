//! Pages to draw on: measured in thousandths of a point from the top left corner.

use super::font::{Fonts, Mpt, Shaped, Weight};
use pdf_writer::{Content, Name, Str, TextStr};

/// A4.
pub(super) const PAGE_WIDTH: Mpt = 595_276;
pub(super) const PAGE_HEIGHT: Mpt = 841_890;

/// A point has so many units.
const PER_POINT: f32 = 1000.0;

/// Red, green, blue.
pub(super) type Color = [u8; 3];

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) weight: Weight,
    pub(super) size: Mpt,
    pub(super) color: Color,
    /// Whether its digits stand under those of other lines.
    pub(super) columns: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A link: where it is and where it leads.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) page: usize,
    /// Left, top, right, bottom.
    pub(super) area: [Mpt; 4],
    pub(super) url: String,
}

pub(super) struct Canvas {
    pub(super) fonts: Fonts,
    pub(super) pages: Vec<Content>,
    pub(super) links: Vec<Link>,
    current: usize,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a page has less than a million units, which a float holds exactly"
)]
pub(super) fn points(units: Mpt) -> f32 {
    units as f32 / PER_POINT
}

fn share(part: u8) -> f32 {
    f32::from(part) / 255.0
}

impl Canvas {
    pub(super) fn new(fonts: Fonts) -> Self {
        Self {
            fonts,
            pages: vec![Content::new()],
            links: Vec::new(),
            current: 0,
        }
    }

    pub(super) fn add_page(&mut self) {
        self.pages.push(Content::new());
        self.current = self.pages.len() - 1;
    }

    /// Draws on a page that is there from now on.
    pub(super) fn turn_to(&mut self, page: usize) {
        self.current = page.min(self.pages.len() - 1);
    }

    pub(super) const fn page(&self) -> usize {
        self.current
    }

    fn content(&mut self) -> Option<&mut Content> {
        self.pages.get_mut(self.current)
    }

    /// A filled rectangle.
    pub(super) fn fill(&mut self, color: Color, [left, top, width, height]: [Mpt; 4]) {
        let Some(content) = self.content() else {
            return;
        };
        content.set_fill_rgb(share(color[0]), share(color[1]), share(color[2]));
        content.rect(
            points(left),
            points(PAGE_HEIGHT - top - height),
            points(width),
            points(height),
        );
        content.fill_nonzero();
    }

    /// Writes a text on its baseline. `at`: where it begins, or, aligned right, ends.
    pub(super) fn text(&mut self, style: Style, align: Align, at: Mpt, baseline: Mpt, text: &str) {
        if text.is_empty() {
            return;
        }
        self.fonts.note(style.weight, text, style.columns);
        let shaped = self.fonts.shape(style.weight, text, style.columns);
        let left = match align {
            Align::Left => at,
            Align::Right => at - shaped.width(style.size),
        };
        let Some(content) = self.pages.get_mut(self.current) else {
            return;
        };
        let [red, green, blue] = style.color.map(share);
        content.begin_text();
        content.set_fill_rgb(red, green, blue);
        content.next_line(points(left), points(PAGE_HEIGHT - baseline));
        show(content, &self.fonts, &shaped, style.size);
        content.end_text();
    }

    /// The mark of the house: a light that rises over the platters of a database.
    pub(super) fn mark(&mut self, left: Mpt, top: Mpt, size: Mpt, light: Color, ink: Color) {
        let Some(content) = self.content() else {
            return;
        };
        content.save_state();
        let scale = points(size) / 32.0;
        content.transform([
            scale,
            0.0,
            0.0,
            -scale,
            points(left),
            points(PAGE_HEIGHT - top),
        ]);
        let [red, green, blue] = light.map(share);
        content.set_fill_rgb(red, green, blue);
        // A half circle of radius 9 around (16, 14.5), as two curves.
        content.move_to(7.0, 14.5);
        content.cubic_to(7.0, 9.53, 11.03, 5.5, 16.0, 5.5);
        content.cubic_to(20.97, 5.5, 25.0, 9.53, 25.0, 14.5);
        content.close_path().fill_nonzero();
        let [red, green, blue] = ink.map(share);
        content.set_stroke_rgb(red, green, blue);
        content.set_line_width(2.6);
        content.set_line_cap(pdf_writer::types::LineCapStyle::RoundCap);
        for top in [18.5, 24.0] {
            content.move_to(4.5, top);
            content.cubic_to(4.5, top + 2.6, 9.6, top + 4.6, 16.0, top + 4.6);
            content.cubic_to(22.4, top + 4.6, 27.5, top + 2.6, 27.5, top);
            content.stroke();
        }
        content.restore_state();
    }
}

fn show(content: &mut Content, fonts: &Fonts, shaped: &Shaped, size: Mpt) {
    for run in &shaped.runs {
        let font = fonts.get(run.font);
        if let Some(actual) = &run.actual {
            let mut marked = content.begin_marked_content_with_properties(Name(b"Span"));
            marked.properties().actual_text(TextStr(actual));
        }
        content.set_font(Name(run.font.resource()), points(size));
        let mut bytes: Vec<u8> = Vec::new();
        let mut shown = content.show_positioned();
        let mut items = shown.items();
        for placed in &run.glyphs {
            let cid = font.used.get(placed.glyph.0).unwrap_or(0);
            bytes.extend(cid.to_be_bytes());
            if placed.kern != 0 {
                items.show(Str(&bytes));
                bytes.clear();
                // A positive number moves the next glyph to the left.
                items.adjust(-points(placed.kern) * PER_POINT);
            }
        }
        if !bytes.is_empty() {
            items.show(Str(&bytes));
        }
        drop(items);
        drop(shown);
        if run.actual.is_some() {
            content.end_marked_content();
        }
    }
}
