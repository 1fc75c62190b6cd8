//! Reads the text back out of our PDFs, by nothing but what the files say: streams, fonts' maps to
//! Unicode, and texts that stand in for glyphs. A text of one call of the writer is one line.

use std::collections::BTreeMap;

/// What a page says, line by line.
pub(crate) struct Page {
    pub(crate) lines: Vec<String>,
}

/// Every page in its order.
pub(crate) fn pages(pdf: &[u8]) -> Vec<Page> {
    let objects = objects(pdf);
    let tree = objects
        .values()
        .find(|object| object.dict.contains("/Type /Pages"))
        .expect("a page tree");
    references(between(&tree.dict, "/Kids [", "]"))
        .into_iter()
        .map(|id| page(&objects, &objects[&id]))
        .collect()
}

/// All text of all pages.
pub(crate) fn text(pdf: &[u8]) -> String {
    let pages = pages(pdf);
    let lines: Vec<&str> = pages
        .iter()
        .flat_map(|page| &page.lines)
        .map(String::as_str)
        .collect();
    lines.join("\n") + "\n"
}

struct Object {
    dict: String,
    stream: Vec<u8>,
}

fn objects(pdf: &[u8]) -> BTreeMap<u32, Object> {
    let mut objects = BTreeMap::new();
    let mut rest = pdf;
    while let Some(start) = find(rest, b" 0 obj\n") {
        let digits = rest[..start].rsplit(|b| !b.is_ascii_digit()).next();
        let id = std::str::from_utf8(digits.expect("a number")).expect("digits");
        let id = id.parse().expect("a number");
        rest = &rest[start + b" 0 obj\n".len()..];
        let end = find(rest, b"endobj").expect("an end");
        let body = find(rest, b"stream\n").filter(|at| *at < end);
        let dict = String::from_utf8_lossy(&rest[..body.unwrap_or(end)]).into_owned();
        let mut stream = Vec::new();
        if let Some(body) = body {
            let length = between(&dict, "/Length ", "\n")
                .trim()
                .trim_end_matches(">>");
            let length: usize = length.trim().parse().expect("a length");
            let from = body + b"stream\n".len();
            let bytes = &rest[from..from + length];
            stream = if dict.contains("/FlateDecode") {
                miniz_oxide::inflate::decompress_to_vec_zlib(bytes).expect("deflated")
            } else {
                bytes.to_vec()
            };
            rest = &rest[from + length..];
        } else {
            rest = &rest[end..];
        }
        objects.insert(id, Object { dict, stream });
    }
    objects
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).expect(from) + from.len();
    let length = text[start..].find(to).unwrap_or(text.len() - start);
    &text[start..start + length]
}

fn references(text: &str) -> Vec<u32> {
    let numbers: Vec<&str> = text.split_whitespace().collect();
    numbers
        .windows(3)
        .filter(|window| window[2] == "R")
        .map(|window| window[0].parse().expect("a number"))
        .collect()
}

fn reference(dict: &str, key: &str) -> u32 {
    let text = between(dict, key, "R");
    references(&format!("{text} R"))[0]
}

fn page(objects: &BTreeMap<u32, Object>, page: &Object) -> Page {
    let fonts = between(&page.dict, "/Font <<", ">>");
    let maps: BTreeMap<String, BTreeMap<u16, char>> = fonts
        .split('/')
        .skip(1)
        .map(|entry| {
            let mut parts = entry.split_whitespace();
            let name = parts.next().expect("a name").to_owned();
            let id: u32 = parts.next().expect("a number").parse().expect("a number");
            let map = reference(&objects[&id].dict, "/ToUnicode ");
            (name, map_of(&objects[&map].stream))
        })
        .collect();
    let content = reference(&page.dict, "/Contents ");
    Page {
        lines: read(&objects[&content].stream, &maps),
    }
}

fn map_of(stream: &[u8]) -> BTreeMap<u16, char> {
    let text = String::from_utf8_lossy(stream);
    let mut map = BTreeMap::new();
    for part in text.split("beginbfchar").skip(1) {
        let part = part.split("endbfchar").next().expect("an end");
        for line in part.lines() {
            let hex: Vec<&str> = line
                .split(['<', '>'])
                .filter(|part| !part.trim().is_empty())
                .collect();
            if let [glyph, text] = hex[..] {
                let units = units(text);
                let one = char::decode_utf16(units)
                    .next()
                    .expect("one")
                    .expect("text");
                map.insert(u16::from_str_radix(glyph, 16).expect("hex"), one);
            }
        }
    }
    map
}

fn units(hex: &str) -> Vec<u16> {
    let digits = hex.as_bytes().chunks(4);
    digits
        .map(|four| {
            let four = std::str::from_utf8(four).expect("digits");
            u16::from_str_radix(four, 16).expect("hex")
        })
        .collect()
}

enum Token {
    Name(String),
    Text(Vec<u8>),
    Word(String),
}

fn read(content: &[u8], maps: &BTreeMap<String, BTreeMap<u16, char>>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut name = String::new();
    let mut font = String::new();
    let mut texts: Vec<Vec<u8>> = Vec::new();
    let mut stands_in = false;
    for token in tokens(content) {
        match token {
            Token::Name(text) => name = text,
            Token::Text(bytes) => texts.push(bytes),
            Token::Word(word) => {
                match word.as_str() {
                    "Tf" => font.clone_from(&name),
                    "BDC" => {
                        line.push_str(&actual(&texts.concat()));
                        stands_in = true;
                    }
                    "EMC" => stands_in = false,
                    "TJ" | "Tj" if !stands_in => {
                        for two in texts.concat().chunks(2) {
                            let glyph = u16::from_be_bytes([two[0], two[1]]);
                            line.push(
                                *maps[&font]
                                    .get(&glyph)
                                    .expect("a glyph that says something"),
                            );
                        }
                    }
                    "ET" => lines.push(std::mem::take(&mut line)),
                    _ => {}
                }
                if word.chars().all(|c| c.is_ascii_alphabetic()) {
                    texts.clear();
                }
            }
        }
    }
    lines
}

fn actual(bytes: &[u8]) -> String {
    match bytes.strip_prefix(&[0xfe, 0xff]) {
        Some(utf16) => {
            let units: Vec<u16> = utf16
                .chunks(2)
                .map(|two| u16::from_be_bytes([two[0], two[1]]))
                .collect();
            String::from_utf16(&units).expect("UTF-16")
        }
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn tokens(content: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let ends = |byte: u8| byte.is_ascii_whitespace() || b"[]()<>/".contains(&byte);
    while let Some(byte) = content.get(at) {
        at += 1;
        match byte {
            b'(' => {
                let (text, after) = literal(content, at);
                tokens.push(Token::Text(text));
                at = after;
            }
            b'<' if content.get(at) != Some(&b'<') => {
                let end = at + find(&content[at..], b">").expect("an end");
                let hex: Vec<u8> = content[at..end].to_vec();
                let bytes = hex.chunks(2).map(|two| {
                    let two = std::str::from_utf8(two).expect("digits");
                    u8::from_str_radix(two, 16).expect("hex")
                });
                tokens.push(Token::Text(bytes.collect()));
                at = end + 1;
            }
            // A dictionary begins.
            b'<' => at += 1,
            b'/' => {
                let end = content[at..]
                    .iter()
                    .position(|byte| ends(*byte))
                    .unwrap_or(0)
                    + at;
                tokens.push(Token::Name(
                    String::from_utf8_lossy(&content[at..end]).into(),
                ));
                at = end;
            }
            byte if ends(*byte) => {}
            _ => {
                let length = content[at..].iter().position(|byte| ends(*byte));
                let end = at + length.unwrap_or(content.len() - at);
                tokens.push(Token::Word(
                    String::from_utf8_lossy(&content[at - 1..end]).into(),
                ));
                at = end;
            }
        }
    }
    tokens
}

fn literal(content: &[u8], mut at: usize) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    let mut depth = 0;
    loop {
        let byte = content[at];
        at += 1;
        match byte {
            b'\\' => {
                let escaped = content[at];
                at += 1;
                text.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'f' => 12,
                    b'0'..=b'7' => {
                        let octal = std::str::from_utf8(&content[at - 1..at + 2]).expect("digits");
                        at += 2;
                        u8::from_str_radix(octal, 8).expect("octal")
                    }
                    other => other,
                });
            }
            b'(' => {
                depth += 1;
                text.push(byte);
            }
            b')' if depth == 0 => return (text, at),
            b')' => {
                depth -= 1;
                text.push(byte);
            }
            byte => text.push(byte),
        }
    }
}
