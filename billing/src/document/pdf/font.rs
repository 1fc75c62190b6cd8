//! The fonts: which glyphs a text has, and how wide it is.
//!
//! Each character has one glyph; pairs are kerned, and digits of columns are of one width. What no
//! font has is shown as a box. Scripts whose letters change by their neighbors are not shaped.

use super::PdfError;
use std::collections::BTreeMap;
use subsetter::GlyphRemapper;
use ttf_parser::gpos::{PairAdjustment, PositioningSubtable};
use ttf_parser::gsub::{SingleSubstitution, SubstitutionSubtable};
use ttf_parser::{GlyphId, Tag};

/// A thousandth of a point: the unit of all measures on a page.
pub(super) type Mpt = i32;

/// The weights of our text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Strong,
}

/// A font file, by its place in [`Fonts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FontId {
    Regular,
    Strong,
    /// Chinese, Japanese, Korean.
    Wide,
}

impl FontId {
    pub(super) const ALL: [Self; 3] = [Self::Regular, Self::Strong, Self::Wide];

    /// Its name among a page's resources.
    pub(super) const fn resource(self) -> &'static [u8] {
        match self {
            Self::Regular => b"R",
            Self::Strong => b"S",
            Self::Wide => b"W",
        }
    }
}

/// A glyph of a text, and how far the next one is from where it would stand, in thousandths of the
/// font's size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) glyph: GlyphId,
    pub(super) kern: i32,
}

/// A piece of a text in one font.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) font: FontId,
    pub(super) glyphs: Vec<Placed>,
    /// What it says, where its glyphs do not say it.
    pub(super) actual: Option<String>,
}

/// A text as glyphs.
#[derive(Debug)]
pub(super) struct Shaped {
    pub(super) runs: Vec<Run>,
    /// In thousandths of the font's size.
    width: i32,
}

impl Shaped {
    pub(super) fn width(&self, size: Mpt) -> Mpt {
        scaled(self.width, size)
    }
}

/// `thousandths` of a size, rounded down.
fn scaled(thousandths: i32, size: Mpt) -> Mpt {
    i32::try_from(i64::from(thousandths) * i64::from(size) / 1000).unwrap_or(Mpt::MAX)
}

/// One font file and what of it a document uses.
pub(super) struct Font {
    pub(super) data: &'static [u8],
    pub(super) face: ttf_parser::Face<'static>,
    /// As the file calls itself.
    pub(super) name: &'static str,
    pub(super) used: GlyphRemapper,
    /// What each used glyph stands for.
    pub(super) says: BTreeMap<u16, char>,
    kerning: Vec<PairAdjustment<'static>>,
    tabular: Vec<SingleSubstitution<'static>>,
}

impl Font {
    fn read(data: &'static [u8], name: &'static str) -> Result<Self, PdfError> {
        let face = ttf_parser::Face::parse(data, 0).map_err(|_| PdfError::Font(name))?;
        let kerning = kerning(&face);
        let tabular = tabular(&face);
        Ok(Self {
            data,
            face,
            name,
            used: GlyphRemapper::new(),
            says: BTreeMap::new(),
            kerning,
            tabular,
        })
    }

    /// Units of the font in thousandths of its size.
    pub(super) fn thousandths(&self, units: i32) -> i32 {
        units * 1000 / i32::from(self.face.units_per_em().max(1))
    }

    pub(super) fn advance(&self, glyph: GlyphId) -> i32 {
        self.thousandths(self.face.glyph_hor_advance(glyph).unwrap_or(0).into())
    }

    fn kern(&self, left: GlyphId, right: GlyphId) -> i32 {
        let of_pair = |table: &PairAdjustment<'_>| {
            let index = table.coverage().get(left)?;
            let (first, _) = match table {
                PairAdjustment::Format1 { sets, .. } => sets.get(index)?.get(right)?,
                PairAdjustment::Format2 {
                    classes, matrix, ..
                } => matrix.get((classes.0.get(left), classes.1.get(right)))?,
            };
            Some(i32::from(first.x_advance))
        };
        let units = self.kerning.iter().find_map(of_pair).unwrap_or(0);
        self.thousandths(units)
    }

    /// The glyph of the same digit that is as wide as all others.
    fn tabular(&self, glyph: GlyphId) -> GlyphId {
        let of_table = |table: &SingleSubstitution<'_>| match table {
            SingleSubstitution::Format1 { coverage, delta } => coverage
                .get(glyph)
                .map(|_| GlyphId(glyph.0.wrapping_add_signed(*delta))),
            SingleSubstitution::Format2 {
                coverage,
                substitutes,
            } => substitutes.get(coverage.get(glyph)?),
        };
        self.tabular.iter().find_map(of_table).unwrap_or(glyph)
    }
}

/// The tables of a feature's pairs.
fn kerning(face: &ttf_parser::Face<'static>) -> Vec<PairAdjustment<'static>> {
    let Some(gpos) = face.tables().gpos else {
        return Vec::new();
    };
    let features = gpos.features.into_iter();
    let lookups = features
        .filter(|feature| feature.tag == Tag::from_bytes(b"kern"))
        .flat_map(|feature| feature.lookup_indices);
    let lookups = lookups.filter_map(|index| gpos.lookups.get(index));
    let tables = lookups.flat_map(|lookup| lookup.subtables.into_iter::<PositioningSubtable<'_>>());
    tables
        .filter_map(|table| match table {
            PositioningSubtable::Pair(pair) => Some(pair),
            _ => None,
        })
        .collect()
}

fn tabular(face: &ttf_parser::Face<'static>) -> Vec<SingleSubstitution<'static>> {
    let Some(gsub) = face.tables().gsub else {
        return Vec::new();
    };
    let features = gsub.features.into_iter();
    let lookups = features
        .filter(|feature| feature.tag == Tag::from_bytes(b"tnum"))
        .flat_map(|feature| feature.lookup_indices);
    let lookups = lookups.filter_map(|index| gsub.lookups.get(index));
    let tables =
        lookups.flat_map(|lookup| lookup.subtables.into_iter::<SubstitutionSubtable<'_>>());
    tables
        .filter_map(|table| match table {
            SubstitutionSubtable::Single(single) => Some(single),
            _ => None,
        })
        .collect()
}

/// All fonts of one document.
pub(super) struct Fonts {
    regular: Font,
    strong: Font,
    wide: Font,
}

impl Fonts {
    pub(super) fn read() -> Result<Self, PdfError> {
        Ok(Self {
            regular: Font::read(
                include_bytes!("../../../fonts/Inter-Regular.otf"),
                "Inter-Regular",
            )?,
            strong: Font::read(
                include_bytes!("../../../fonts/Inter-SemiBold.otf"),
                "Inter-SemiBold",
            )?,
            wide: Font::read(
                include_bytes!("../../../fonts/DroidSansFallback.ttf"),
                "DroidSansFallback",
            )?,
        })
    }

    pub(super) const fn get(&self, id: FontId) -> &Font {
        match id {
            FontId::Regular => &self.regular,
            FontId::Strong => &self.strong,
            FontId::Wide => &self.wide,
        }
    }

    pub(super) const fn get_mut(&mut self, id: FontId) -> &mut Font {
        match id {
            FontId::Regular => &mut self.regular,
            FontId::Strong => &mut self.strong,
            FontId::Wide => &mut self.wide,
        }
    }

    /// The font that has a character, and its glyph there; glyph 0 is the box.
    fn find(&self, weight: Weight, one: char) -> (FontId, GlyphId) {
        let own = match weight {
            Weight::Regular => FontId::Regular,
            Weight::Strong => FontId::Strong,
        };
        let found = [own, FontId::Wide].into_iter().find_map(|id| {
            let glyph = self.get(id).face.glyph_index(one)?;
            (glyph.0 != 0).then_some((id, glyph))
        });
        found.unwrap_or((own, GlyphId(0)))
    }

    /// A text as glyphs. `columns`: its digits stand under each other.
    pub(super) fn shape(&self, weight: Weight, text: &str, columns: bool) -> Shaped {
        let mut shaped = Shaped {
            runs: Vec::new(),
            width: 0,
        };
        for one in text.chars() {
            let (id, glyph) = self.find(weight, one);
            let font = self.get(id);
            let glyph = if columns && one.is_ascii_digit() {
                font.tabular(glyph)
            } else {
                glyph
            };
            // A box says nothing, and a glyph that two characters share says one of them.
            let boxed = glyph.0 == 0 || font.says.get(&glyph.0).is_some_and(|said| *said != one);
            shaped.width += font.advance(glyph);
            match shaped.runs.last_mut() {
                Some(run) if run.font == id && run.actual.is_some() == boxed => {
                    if let Some(last) = run.glyphs.last_mut().filter(|_| !columns && !boxed) {
                        last.kern = font.kern(last.glyph, glyph);
                        shaped.width += last.kern;
                    }
                    run.glyphs.push(Placed { glyph, kern: 0 });
                    if let Some(actual) = &mut run.actual {
                        actual.push(one);
                    }
                }
                _ => shaped.runs.push(Run {
                    font: id,
                    glyphs: vec![Placed { glyph, kern: 0 }],
                    actual: boxed.then(|| one.to_string()),
                }),
            }
        }
        shaped
    }

    /// Remembers which glyphs were used, and for what.
    pub(super) fn note(&mut self, weight: Weight, text: &str, columns: bool) {
        for one in text.chars() {
            let (id, glyph) = self.find(weight, one);
            let font = self.get_mut(id);
            let glyph = if columns && one.is_ascii_digit() {
                font.tabular(glyph)
            } else {
                glyph
            };
            font.used.remap(glyph.0);
            if glyph.0 != 0 {
                font.says.entry(glyph.0).or_insert(one);
            }
        }
    }

    /// Cuts a text into lines of at most so much width: between words, or within one that is wider.
    pub(super) fn wrap(&self, weight: Weight, text: &str, size: Mpt, width: Mpt) -> Vec<String> {
        let fits = |line: &str| self.shape(weight, line, false).width(size) <= width;
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        for word in text.split(' ') {
            let longer = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if fits(&longer) {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for one in word.chars() {
                line.push(one);
                if line.chars().nth(1).is_some() && !fits(&line) {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, one.to_string()));
                }
            }
        }
        if !line.is_empty() || lines.is_empty() {
            lines.push(line);
        }
        lines
    }
}
