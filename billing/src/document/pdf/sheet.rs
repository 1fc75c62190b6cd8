//! What stands where. The pen goes down the page and turns to a new one where something has no room.

use super::canvas::{Align, Canvas, Color, Link, PAGE_HEIGHT, PAGE_WIDTH, Style};
use super::font::{Mpt, Weight};
use crate::document::content::{Block, DayTable, Document, Fact, Row, Section, Tone};

const INK: Color = [0x1d, 0x1a, 0x14];
const INK_2: Color = [0x5c, 0x56, 0x4a];
const LINE: Color = [0xe0, 0xdb, 0xd0];
const GROUND: Color = [0xfa, 0xf9, 0xf6];
const ACCENT: Color = [0xd4, 0x88, 0x06];
const LIGHT: Color = [0xf0, 0xa9, 0x1e];

const LEFT: Mpt = 51_000;
const RIGHT: Mpt = PAGE_WIDTH - LEFT;
const TOP: Mpt = 54_000;
/// Below it is the foot of the page.
const BOTTOM: Mpt = PAGE_HEIGHT - 66_000;
const FOOT: Mpt = PAGE_HEIGHT - 40_000;
/// Where each column of the lines begins, or, of numbers, ends.
const DESCRIPTION: Mpt = LEFT + 20_000;
const QUANTITY: Mpt = LEFT + 330_000;
const UNIT_PRICE: Mpt = LEFT + 418_000;
/// How wide a description may be.
const DESCRIPTION_WIDTH: Mpt = 222_000;
const HAIR: Mpt = 600;

const fn style(weight: Weight, size: Mpt, color: Color) -> Style {
    Style {
        weight,
        size,
        color,
        columns: false,
    }
}

const TEXT: Style = style(Weight::Regular, 9_200, INK);
const STRONG: Style = style(Weight::Strong, 9_200, INK);
const QUIET: Style = style(Weight::Regular, 8_200, INK_2);
const LABEL: Style = style(Weight::Regular, 7_800, INK_2);
const HEADING: Style = style(Weight::Strong, 10_500, INK);

/// The same, for columns of numbers.
const fn numbers(style: Style) -> Style {
    Style {
        columns: true,
        ..style
    }
}

/// From the top of a line of text to its baseline, and to the next line's top.
const fn baseline(style: Style) -> Mpt {
    style.size
}

const fn leading(style: Style) -> Mpt {
    style.size * 14 / 10
}

struct Pen<'a> {
    canvas: &'a mut Canvas,
    y: Mpt,
}

pub(super) fn draw(canvas: &mut Canvas, document: &Document) {
    let mut pen = Pen { canvas, y: TOP };
    pen.head(document);
    pen.lines(&document.sections);
    pen.sums(document);
    pen.payment(&document.payment);
    pen.remarks(&document.remarks);
    for table in &document.days {
        pen.days(table);
    }
    feet(canvas, document);
}

fn feet(canvas: &mut Canvas, document: &Document) {
    let pages = canvas.pages.len();
    let foot = document.foot();
    for page in 0..pages {
        canvas.turn_to(page);
        canvas.fill(LINE, [LEFT, FOOT - 14_000, RIGHT - LEFT, HAIR]);
        let room = RIGHT - LEFT - 70_000;
        let foot = canvas.fonts.wrap(LABEL.weight, &foot, LABEL.size, room);
        let first = foot.first().map_or("", String::as_str);
        canvas.text(LABEL, Align::Left, LEFT, FOOT, first);
        let number = format!("Page {} of {pages}", page + 1);
        canvas.text(LABEL, Align::Right, RIGHT, FOOT, &number);
    }
}

impl Pen<'_> {
    /// Turns the page unless there is so much room below.
    fn need(&mut self, height: Mpt) -> bool {
        let turns = self.y + height > BOTTOM;
        if turns {
            self.canvas.add_page();
            self.y = TOP;
        }
        turns
    }

    /// A text in as many lines as it takes; a page may end between them.
    fn paragraph(&mut self, style: Style, left: Mpt, width: Mpt, text: &str) {
        let lines = self
            .canvas
            .fonts
            .wrap(style.weight, text, style.size, width);
        for line in lines {
            self.need(leading(style));
            self.write(style, Align::Left, left, &line);
            self.y += leading(style);
        }
    }

    /// A text on the line where the pen is.
    fn write(&mut self, style: Style, align: Align, at: Mpt, text: &str) {
        let baseline = self.y + baseline(style);
        self.canvas.text(style, align, at, baseline, text);
    }

    fn rule(&mut self, color: Color, height: Mpt) {
        let area = [LEFT, self.y, RIGHT - LEFT, height];
        self.canvas.fill(color, area);
    }

    fn head(&mut self, document: &Document) {
        self.canvas
            .mark(LEFT - 2_000, TOP - 6_000, 30_000, LIGHT, INK);
        let name = style(Weight::Strong, 13_000, INK);
        let title = style(Weight::Strong, 22_000, INK);
        let lines = self.canvas.fonts.wrap(
            name.weight,
            &document.seller.name,
            name.size,
            DESCRIPTION_WIDTH,
        );
        self.y = TOP + 2_500;
        for line in lines.iter().take(2) {
            self.write(name, Align::Left, LEFT + 36_000, line);
            self.y += leading(name);
        }
        let below = self.y;
        self.y = TOP - 3_000;
        self.write(title, Align::Right, RIGHT, document.title);
        if let Some(stamp) = document.stamp {
            let width = self
                .canvas
                .fonts
                .shape(title.weight, document.title, false)
                .width(title.size);
            self.stamp(stamp.text, stamp.tone, RIGHT - width - 10_000);
        }
        self.y = below.max(TOP + 26_000) + 22_000;
        self.rule(ACCENT, 1_600);
        self.y += 14_000;
        self.facts(&document.facts);
        self.y += 18_000;
        self.parties(&document.seller, &document.buyer);
        self.y += 24_000;
        let amount = style(Weight::Strong, 24_000, INK);
        self.write(amount, Align::Left, LEFT, &document.headline.value);
        self.y += leading(amount);
        self.paragraph(QUIET, LEFT, RIGHT - LEFT, &document.headline.label);
        self.y += 20_000;
    }

    fn stamp(&mut self, text: &str, tone: Tone, right: Mpt) {
        let (ground, ink) = match tone {
            Tone::Good => ([0xe6, 0xf4, 0xec], [0x17, 0x61, 0x3d]),
            Tone::Bad => ([0xfd, 0xee, 0xec], [0xa0, 0x1c, 0x12]),
            Tone::Calm => ([0xea, 0xee, 0xf5], [0x3f, 0x4d, 0x68]),
        };
        let style = style(Weight::Strong, 9_000, ink);
        let width = self
            .canvas
            .fonts
            .shape(style.weight, text, false)
            .width(style.size);
        let padding = 7_000;
        let area = [
            right - width - 2 * padding,
            self.y + 5_500,
            width + 2 * padding,
            16_000,
        ];
        self.canvas.fill(ground, area);
        let at = self.y + 16_700;
        self.canvas
            .text(style, Align::Right, right - padding, at, text);
    }

    /// Labels with what they label, side by side.
    fn facts(&mut self, facts: &[Fact]) {
        let step = (RIGHT - LEFT) / 4;
        for row in facts.chunks(4) {
            let top = self.y;
            let mut below = top;
            for (fact, left) in row
                .iter()
                .zip((LEFT..).step_by(step.unsigned_abs() as usize))
            {
                self.y = top;
                self.write(LABEL, Align::Left, left, &fact.label);
                self.y += leading(LABEL) + 1_000;
                self.paragraph(STRONG, left, step - 10_000, &fact.value);
                below = below.max(self.y);
            }
            self.y = below + 6_000;
        }
    }

    fn parties(&mut self, seller: &Block, buyer: &Block) {
        let top = self.y;
        let step = (RIGHT - LEFT) / 2;
        let mut below = top;
        for (block, left) in [(seller, LEFT), (buyer, LEFT + step)] {
            self.y = top;
            self.write(LABEL, Align::Left, left, block.heading);
            self.y += leading(LABEL) + 1_500;
            self.paragraph(STRONG, left, step - 20_000, &block.name);
            for line in &block.lines {
                self.paragraph(
                    style(Weight::Regular, 9_200, INK_2),
                    left,
                    step - 20_000,
                    line,
                );
            }
            below = below.max(self.y);
        }
        self.y = below;
    }

    fn columns(&mut self) {
        for (align, at, text) in [
            (Align::Left, DESCRIPTION, "Description"),
            (Align::Right, QUANTITY, "Quantity"),
            (Align::Right, UNIT_PRICE, "Unit price"),
            (Align::Right, RIGHT, "Amount"),
        ] {
            self.write(LABEL, align, at, text);
        }
        self.y += leading(LABEL) + 3_000;
        self.rule(LINE, HAIR);
    }

    fn lines(&mut self, sections: &[Section]) {
        self.columns();
        for section in sections {
            self.y += 12_000;
            let title = style(Weight::Strong, 9_600, INK);
            if self.need(60_000) {
                self.columns();
                self.y += 8_000;
            }
            self.paragraph(title, LEFT, RIGHT - LEFT, &section.title);
            self.y += 3_000;
            for row in &section.rows {
                self.row(row);
            }
        }
        if sections.is_empty() {
            self.y += 10_000;
            let nothing = "Nothing was used, and nothing is to be paid.";
            self.paragraph(TEXT, DESCRIPTION, RIGHT - DESCRIPTION, nothing);
        }
    }

    fn row(&mut self, row: &Row) {
        let fonts = &self.canvas.fonts;
        let title = fonts.wrap(STRONG.weight, &row.title, STRONG.size, DESCRIPTION_WIDTH);
        let explained: Vec<String> = row
            .explained
            .iter()
            .flat_map(|text| fonts.wrap(QUIET.weight, text, QUIET.size, DESCRIPTION_WIDTH))
            .collect();
        let count = |lines: usize| Mpt::try_from(lines).unwrap_or(Mpt::MAX);
        let height = 12_000
            + leading(STRONG) * count(title.len())
            + leading(QUIET) * count(explained.len() + 1);
        if self.need(height) {
            self.columns();
        } else {
            self.rule(LINE, HAIR);
        }
        self.y += 6_500;
        let position = row.position.to_string();
        self.write(LABEL, Align::Left, LEFT, &position);
        self.write(numbers(TEXT), Align::Right, QUANTITY, &row.quantity);
        self.write(numbers(TEXT), Align::Right, UNIT_PRICE, &row.unit_price);
        self.write(numbers(STRONG), Align::Right, RIGHT, &row.amount);
        for line in &title {
            self.write(STRONG, Align::Left, DESCRIPTION, line);
            self.y += leading(STRONG);
        }
        for line in &explained {
            self.write(QUIET, Align::Left, DESCRIPTION, line);
            self.y += leading(QUIET);
        }
        for part in &row.parts {
            let fonts = &self.canvas.fonts;
            let name = fonts.wrap(QUIET.weight, &part.name, QUIET.size, DESCRIPTION_WIDTH);
            if self.need(leading(QUIET) * count(name.len())) {
                self.columns();
                self.y += 6_000;
            }
            self.write(numbers(QUIET), Align::Right, QUANTITY, &part.quantity);
            self.write(numbers(QUIET), Align::Right, RIGHT, &part.amount);
            for line in &name {
                self.write(QUIET, Align::Left, DESCRIPTION, line);
                self.y += leading(QUIET);
            }
        }
        self.y += 5_500;
    }

    fn sums(&mut self, document: &Document) {
        let left = LEFT + 210_000;
        self.y += 4_000;
        self.need(leading(TEXT) * 4);
        self.rule(INK, HAIR);
        self.y += 8_000;
        for sum in &document.sums {
            let style = if sum.strong {
                style(Weight::Strong, 11_000, INK)
            } else {
                style(Weight::Regular, 9_200, INK_2)
            };
            let room = RIGHT - left - 90_000;
            let label = self
                .canvas
                .fonts
                .wrap(style.weight, &sum.label, style.size, room);
            self.need(leading(style) + 8_000);
            if sum.strong {
                self.canvas.fill(LINE, [left, self.y, RIGHT - left, HAIR]);
                self.y += 5_000;
            }
            self.write(numbers(style), Align::Right, RIGHT, &sum.amount);
            for line in &label {
                self.write(style, Align::Left, left, line);
                self.y += leading(style);
            }
            self.y += 3_500;
        }
    }

    fn payment(&mut self, facts: &[Fact]) {
        if facts.is_empty() {
            return;
        }
        self.y += 18_000;
        let label_width = 110_000;
        let inner = LEFT + 14_000;
        let room = RIGHT - inner - label_width - 14_000;
        let values: Vec<Vec<String>> = facts
            .iter()
            .map(|fact| {
                let fonts = &self.canvas.fonts;
                fonts.wrap(TEXT.weight, &fact.value, TEXT.size, room)
            })
            .collect();
        let lines = Mpt::try_from(values.iter().map(Vec::len).sum::<usize>()).unwrap_or(Mpt::MAX);
        let height = 24_000 + leading(HEADING) + lines * (leading(TEXT) + 2_000);
        self.need(height);
        self.canvas
            .fill(GROUND, [LEFT, self.y, RIGHT - LEFT, height]);
        self.y += 10_000;
        self.write(HEADING, Align::Left, inner, "How to pay");
        self.y += leading(HEADING) + 4_000;
        for (fact, value) in facts.iter().zip(&values) {
            self.write(QUIET, Align::Left, inner, &fact.label);
            let top = self.y;
            for line in value {
                self.write(TEXT, Align::Left, inner + label_width, line);
                self.y += leading(TEXT) + 2_000;
            }
            if fact.value.starts_with("https://") || fact.value.starts_with("http://") {
                self.canvas.links.push(Link {
                    page: self.canvas.page(),
                    area: [inner + label_width, top, RIGHT, self.y],
                    url: fact.value.clone(),
                });
            }
        }
        self.y += 10_000;
    }

    fn remarks(&mut self, remarks: &[String]) {
        if remarks.is_empty() {
            return;
        }
        self.y += 20_000;
        self.need(60_000);
        for remark in remarks {
            self.paragraph(QUIET, LEFT, RIGHT - LEFT - 40_000, remark);
            self.y += 4_000;
        }
    }

    fn days(&mut self, table: &DayTable) {
        self.y += 22_000;
        self.need(90_000);
        self.paragraph(HEADING, LEFT, RIGHT - LEFT, &table.title);
        self.y += 4_000;
        self.day_columns();
        for day in &table.days {
            if self.need(leading(QUIET) + 4_000) {
                self.day_columns();
            }
            self.y += 1_800;
            self.write(numbers(QUIET), Align::Left, LEFT, &day.date);
            self.write(numbers(QUIET), Align::Right, QUANTITY - 60_000, &day.used);
            self.write(
                numbers(QUIET),
                Align::Right,
                UNIT_PRICE - 30_000,
                &day.included,
            );
            self.write(numbers(QUIET), Align::Right, RIGHT, &day.billed);
            self.y += leading(QUIET) + 600;
            self.rule(LINE, HAIR / 2);
        }
    }

    fn day_columns(&mut self) {
        for (align, at, text) in [
            (Align::Left, LEFT, "Day"),
            (Align::Right, QUANTITY - 60_000, "Used"),
            (Align::Right, UNIT_PRICE - 30_000, "Included"),
            (Align::Right, RIGHT, "Billed"),
        ] {
            self.write(LABEL, align, at, text);
        }
        self.y += leading(LABEL) + 2_000;
        self.rule(LINE, HAIR);
    }
}
