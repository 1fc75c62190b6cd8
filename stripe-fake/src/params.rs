//! Parameters of a request, read by name; what nobody read is refused.

use crate::error::ApiError;
use serde_json::{Map, Value};

/// Longest value of metadata, characters.
const METADATA_MAX: usize = 500;

#[derive(Debug, Default)]
pub(crate) struct Params {
    map: Map<String, Value>,
    /// In front of names in errors: `lines[0]`.
    prefix: String,
}

impl Params {
    pub(crate) fn new(map: Map<String, Value>) -> Self {
        Self {
            map,
            prefix: String::new(),
        }
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}[{name}]", self.prefix)
        }
    }

    fn wrong(&self, name: &str, what: &str) -> ApiError {
        let name = self.name(name);
        let message = format!("Invalid {what}: {name}");
        ApiError::parameter("parameter_invalid", name, message)
    }

    pub(crate) fn missing(&self, name: &str) -> ApiError {
        let name = self.name(name);
        let message = format!("Missing required param: {name}.");
        ApiError::parameter("parameter_missing", name, message)
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.map.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "string")),
        }
    }

    pub(crate) fn need_text(&mut self, name: &str) -> Result<String, ApiError> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let text = self.text(name)?;
        text.map(|text| text.parse().map_err(|_| self.wrong(name, "integer")))
            .transpose()
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.wrong(name, "boolean")),
        }
    }

    pub(crate) fn one_of(
        &mut self,
        name: &str,
        allowed: &[&str],
    ) -> Result<Option<String>, ApiError> {
        let text = self.text(name)?;
        match text {
            Some(text) if !allowed.contains(&text.as_str()) => Err(self.wrong(
                name,
                &format!("value, must be one of {}", allowed.join(", ")),
            )),
            text => Ok(text),
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, ApiError> {
        match self.map.remove(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self {
                map,
                prefix: self.name(name),
            })),
            Some(_) => Err(self.wrong(name, "object")),
        }
    }

    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<Self>, ApiError> {
        let items = match self.map.remove(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.wrong(name, "array")),
        };
        let name = self.name(name);
        let items = items.into_iter().enumerate();
        items
            .map(|(index, item)| match item {
                Value::Object(map) => Ok(Self {
                    map,
                    prefix: format!("{name}[{index}]"),
                }),
                _ => Err(self.wrong(&name, "array of objects")),
            })
            .collect()
    }

    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, ApiError> {
        match self.map.remove(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    _ => Err(self.wrong(name, "array of strings")),
                })
                .collect(),
            Some(_) => Err(self.wrong(name, "array")),
        }
    }

    /// Metadata, to be merged into what is there.
    pub(crate) fn metadata(&mut self) -> Result<Map<String, Value>, ApiError> {
        match self.map.remove("metadata") {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => {
                let fits = |value: &Value| {
                    let text = value.as_str();
                    text.is_some_and(|text| text.chars().count() <= METADATA_MAX)
                };
                if map.values().all(fits) {
                    Ok(map)
                } else {
                    Err(self.wrong("metadata", "metadata"))
                }
            }
            Some(_) => Err(self.wrong("metadata", "hash")),
        }
    }

    /// Nothing may be left.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        // Answers hold every list that they can: there is nothing to expand.
        self.map.remove("expand");
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name = self.name(name);
                let message = format!("Received unknown parameter: {name}");
                Err(ApiError::parameter("parameter_unknown", name, message))
            }
        }
    }
}
