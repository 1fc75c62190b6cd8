//! Checks of fields: all faults of a request are told at once.

use crate::app::{AppError, FieldError, ProblemType};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Reads an object inside of a body, or null. serde by itself would take an array for an object, its
/// items for the fields in their order.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_option(ObjectVisitor(PhantomData))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError {
            field: field.to_owned(),
            message: message.into(),
        });
    }

    /// Notes `message` unless `good`.
    pub fn check(&mut self, field: &str, good: bool, message: impl Into<String>) {
        if !good {
            self.add(field, message);
        }
    }

    /// A name that people give: trimmed, 1 to `characters_max` characters, no control characters.
    pub fn display_name(&mut self, field: &str, text: &str, characters_max: usize) -> String {
        let name = text.trim();
        let length = name.chars().count();
        self.check(
            field,
            (1..=characters_max).contains(&length),
            format!("has 1 to {characters_max} characters, this has {length}"),
        );
        self.check(
            field,
            !name.chars().any(char::is_control),
            "must not hold control characters",
        );
        name.to_owned()
    }

    /// `Ok` if nothing was wrong.
    pub fn finish(self) -> Result<(), AppError> {
        let Some(first) = self.0.first() else {
            return Ok(());
        };
        Err(AppError::Rejected {
            problem: ProblemType::InvalidRequest,
            detail: format!("{}: {}", first.field, first.message),
            errors: self.0,
            retry_after_seconds: None,
            operation: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_told_and_none_is_success() {
        let mut fields = FieldErrors::new();
        assert_eq!(fields.display_name("name", "  Ada ", 100), "Ada");
        fields.finish().expect("nothing wrong");
        let mut fields = FieldErrors::new();
        fields.display_name("name", " ", 100);
        fields.display_name("title", "a\nb", 2);
        let Err(AppError::Rejected { errors, .. }) = fields.finish() else {
            panic!("it was accepted");
        };
        assert_eq!(errors.len(), 3);
    }
}
