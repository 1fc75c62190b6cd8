//! Bodies and queries: `lines[0][amount]=5` to a tree, whose leaves are texts.

use crate::error::ApiError;
use serde_json::{Map, Value};

/// Parts of a name, at most.
const DEPTH_MAX: usize = 6;

/// Reads `application/x-www-form-urlencoded` text.
pub(crate) fn parse(text: &str) -> Result<Map<String, Value>, ApiError> {
    let mut root = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        let path = path(&name)?;
        insert(&mut root, &path, value, &name)?;
    }
    Ok(root
        .into_iter()
        .map(|(name, value)| (name, arrays(value)))
        .collect())
}

fn invalid(name: &str) -> ApiError {
    ApiError::parameter(
        "parameter_invalid_empty",
        name,
        format!("Invalid parameter: {name}"),
    )
}

/// Percent-decodes, with `+` for a blank.
pub(crate) fn decode(text: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let byte = after
                    .get(..2)
                    .and_then(|digits| std::str::from_utf8(digits).ok())
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                    .ok_or_else(|| invalid(text))?;
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid(text))
}

/// `a[b][0]` to `a`, `b`, `0`.
fn path(name: &str) -> Result<Vec<String>, ApiError> {
    let (first, rest) = name.split_once('[').unwrap_or((name, ""));
    let mut path = vec![first.to_owned()];
    if !rest.is_empty() {
        let inner = rest.strip_suffix(']').ok_or_else(|| invalid(name))?;
        path.extend(inner.split("][").map(str::to_owned));
    }
    if first.is_empty() || path.len() > DEPTH_MAX {
        return Err(invalid(name));
    }
    Ok(path)
}

fn insert(
    map: &mut Map<String, Value>,
    path: &[String],
    value: String,
    name: &str,
) -> Result<(), ApiError> {
    let Some((first, rest)) = path.split_first() else {
        return Err(invalid(name));
    };
    // `expand[]` appends.
    let key = if first.is_empty() {
        map.len().to_string()
    } else {
        first.clone()
    };
    if rest.is_empty() {
        map.insert(key, value.into());
        return Ok(());
    }
    let inner = map.entry(key).or_insert_with(|| Map::new().into());
    let inner = inner.as_object_mut().ok_or_else(|| invalid(name))?;
    insert(inner, rest, value, name)
}

/// Objects whose names are 0, 1, 2 … are lists.
fn arrays(value: Value) -> Value {
    let Value::Object(map) = value else {
        return value;
    };
    let mut items: Vec<(String, Value)> = map
        .into_iter()
        .map(|(name, value)| (name, arrays(value)))
        .collect();
    let mut numbers: Vec<usize> = items
        .iter()
        .filter_map(|(name, _)| name.parse().ok())
        .collect();
    numbers.sort_unstable();
    if !items.is_empty() && numbers == (0..items.len()).collect::<Vec<_>>() {
        items.sort_by_key(|(name, _)| name.parse::<usize>().unwrap_or_default());
        return items
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
            .into();
    }
    Value::Object(items.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_names_become_a_tree() {
        let text = "lines[1][amount]=-5&lines[0][description]=a+b%26c&metadata[k]=v&expand[]=x&e=";
        let expected = json!({
            "lines": [{"description": "a b&c"}, {"amount": "-5"}],
            "metadata": {"k": "v"},
            "expand": ["x"],
            "e": "",
        });
        assert_eq!(Value::Object(parse(text).expect("right")), expected);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in [
            "a[b=1",
            "%zz=1",
            "a=1&a[b]=2",
            "=1",
            "a[b][c][d][e][f][g]=1",
            "a=%ff",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
