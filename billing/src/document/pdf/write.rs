//! The file: pages, their fonts, and what it says about itself.

use super::PdfError;
use super::canvas::{Canvas, Link, PAGE_HEIGHT, PAGE_WIDTH, points};
use super::font::{Font, FontId};
use pdf_writer::types::{
    ActionType, AnnotationType, CidFontType, FontFlags, SystemInfo, UnicodeCmap,
};
use pdf_writer::{Date, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};
use time::{OffsetDateTime, UtcOffset};

/// 1 to 9: how much work compression is.
const COMPRESSION: u8 = 6;

const SYSTEM: SystemInfo<'static> = SystemInfo {
    registry: Str(b"Adobe"),
    ordering: Str(b"Identity"),
    supplement: 0,
};

/// Gives numbers to the file's objects.
struct Refs(i32);

impl Refs {
    fn next(&mut self) -> Ref {
        self.0 += 1;
        Ref::new(self.0)
    }
}

/// What the file says about itself.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub(super) title: &'a str,
    pub(super) author: &'a str,
    pub(super) at: OffsetDateTime,
}

pub(super) fn write(canvas: Canvas, about: &About<'_>) -> Result<Vec<u8>, PdfError> {
    let mut pdf = Pdf::new();
    let mut refs = Refs(0);
    let (catalog, tree, info) = (refs.next(), refs.next(), refs.next());
    let mut fonts = Vec::new();
    for id in FontId::ALL {
        let font = canvas.fonts.get(id);
        // The box alone is no use of a font.
        if font.used.num_gids() > 1 {
            fonts.push((id, write_font(&mut pdf, &mut refs, font)?));
        }
    }
    let mut kids = Vec::new();
    let links = canvas.links;
    for (index, content) in canvas.pages.into_iter().enumerate() {
        let (page, stream) = (refs.next(), refs.next());
        kids.push(page);
        let links: Vec<(Ref, &Link)> = links
            .iter()
            .filter(|link| link.page == index)
            .map(|link| (refs.next(), link))
            .collect();
        let mut written = pdf.page(page);
        written
            .parent(tree)
            .media_box(Rect::new(0.0, 0.0, points(PAGE_WIDTH), points(PAGE_HEIGHT)))
            .contents(stream)
            .annotations(links.iter().map(|(id, _)| *id));
        let mut resources = written.resources();
        let mut named = resources.fonts();
        for (id, font) in &fonts {
            named.pair(Name(id.resource()), *font);
        }
        named.finish();
        resources.finish();
        written.finish();
        let bytes = compressed(&content.finish());
        pdf.stream(stream, &bytes).filter(Filter::FlateDecode);
        for (id, link) in links {
            write_link(&mut pdf, id, link);
        }
    }
    let count = i32::try_from(kids.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(kids).count(count);
    let mut written = pdf.catalog(catalog);
    written.pages(tree).lang(TextStr("en"));
    written.viewer_preferences().display_doc_title(true);
    written.finish();
    pdf.document_info(info)
        .title(TextStr(about.title))
        .author(TextStr(about.author))
        .producer(TextStr("LumaDB Cloud"))
        .creation_date(date(about.at));
    Ok(pdf.finish())
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(bytes, COMPRESSION)
}

fn date(at: OffsetDateTime) -> Date {
    let at = at.to_offset(UtcOffset::UTC);
    Date::new(u16::try_from(at.year()).unwrap_or_default())
        .month(at.month().into())
        .day(at.day())
        .hour(at.hour())
        .minute(at.minute())
        .second(at.second())
}

fn write_link(pdf: &mut Pdf, id: Ref, link: &Link) {
    let [left, top, right, bottom] = link.area;
    let mut annotation = pdf.annotation(id);
    annotation
        .subtype(AnnotationType::Link)
        .rect(Rect::new(
            points(left),
            points(PAGE_HEIGHT - bottom),
            points(right),
            points(PAGE_HEIGHT - top),
        ))
        .border(0.0, 0.0, 0.0, None);
    annotation
        .action()
        .action_type(ActionType::Uri)
        .uri(Str(link.url.as_bytes()));
}

/// A font with its used glyphs alone; gives the object that pages name.
fn write_font(pdf: &mut Pdf, refs: &mut Refs, font: &Font) -> Result<Ref, PdfError> {
    let failed = || PdfError::Font(font.name);
    let subset = subsetter::subset(font.data, 0, &font.used).map_err(|_| failed())?;
    let raw = ttf_parser::RawFace::parse(&subset, 0).map_err(|_| failed())?;
    let outlines = raw.table(ttf_parser::Tag::from_bytes(b"CFF "));
    let (whole, cid, descriptor) = (refs.next(), refs.next(), refs.next());
    let (file, unicode) = (refs.next(), refs.next());
    let name = format!("LUMADB+{}", font.name);
    let whole_name = match outlines {
        Some(_) => format!("{name}-Identity-H"),
        None => name.clone(),
    };
    pdf.type0_font(whole)
        .base_font(Name(whole_name.as_bytes()))
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(cid)
        .to_unicode(unicode);
    write_cid_font(pdf, cid, descriptor, font, &name, outlines.is_some());
    let mut written = pdf.font_descriptor(descriptor);
    let bounds = font.face.global_bounding_box();
    let units = |units: i16| points(font.thousandths(units.into()) * 1000);
    written
        .name(Name(name.as_bytes()))
        .flags(FontFlags::SYMBOLIC)
        .bbox(Rect::new(
            units(bounds.x_min),
            units(bounds.y_min),
            units(bounds.x_max),
            units(bounds.y_max),
        ))
        .italic_angle(0.0)
        .ascent(units(font.face.ascender()))
        .descent(units(font.face.descender()))
        .cap_height(units(font.face.capital_height().unwrap_or_default()))
        .stem_v(80.0);
    if outlines.is_some() {
        written.font_file3(file);
    } else {
        written.font_file2(file);
    }
    written.finish();
    let bytes = compressed(outlines.unwrap_or(&subset));
    let mut stream = pdf.stream(file, &bytes);
    stream.filter(Filter::FlateDecode);
    if outlines.is_some() {
        stream.pair(Name(b"Subtype"), Name(b"CIDFontType0C"));
    }
    stream.finish();
    let mut map = UnicodeCmap::<u16>::new(Name(b"LumaDB-Unicode"), SYSTEM);
    for (glyph, one) in &font.says {
        if let Some(cid) = font.used.get(*glyph) {
            map.pair(cid, *one);
        }
    }
    let bytes = compressed(&map.finish());
    pdf.stream(unicode, &bytes).filter(Filter::FlateDecode);
    Ok(whole)
}

fn write_cid_font(
    pdf: &mut Pdf,
    id: Ref,
    descriptor: Ref,
    font: &Font,
    name: &str,
    has_cff_outlines: bool,
) {
    let mut written = pdf.cid_font(id);
    written
        .subtype(if has_cff_outlines {
            CidFontType::Type0
        } else {
            CidFontType::Type2
        })
        .base_font(Name(name.as_bytes()))
        .system_info(SYSTEM)
        .font_descriptor(descriptor)
        .default_width(0.0);
    if !has_cff_outlines {
        written.cid_to_gid_map_predefined(Name(b"Identity"));
    }
    let widths = font
        .used
        .remapped_gids()
        .map(|glyph| points(font.advance(ttf_parser::GlyphId(glyph)) * 1000));
    written.widths().consecutive(0, widths);
}
