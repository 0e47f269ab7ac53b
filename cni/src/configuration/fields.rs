//! A JSON object that is read strictly: whoever reads it learns which fields nobody took.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{Code, Error};

/// So much of a wrong value is shown.
const SHOWN_CHARACTERS: usize = 100;

/// The fields of an object, taken one by one.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    /// The object's own place, such as `args.cni.tsnd.`; empty for the input as a whole.
    within: &'static str,
    values: BTreeMap<String, Box<RawValue>>,
    /// The names that were asked for.
    taken: Vec<&'static str>,
}

impl Fields {
    pub(crate) fn new(within: &'static str, values: BTreeMap<String, Box<RawValue>>) -> Self {
        Self {
            within,
            values,
            taken: Vec::new(),
        }
    }

    /// A field's value; `None` if it is not there or `null`.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidConfiguration`] for a value of another type.
    pub(crate) fn take<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, Error> {
        self.taken.push(name);
        let Some(value) = self.values.remove(name) else {
            return Ok(None);
        };
        serde_json::from_str(value.get()).map_err(|error| self.wrong(name, &value, &error))
    }

    /// A field that is an object; empty if it is not there or `null`.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub(crate) fn take_object(
        &mut self,
        name: &'static str,
    ) -> Result<BTreeMap<String, Box<RawValue>>, Error> {
        Ok(self.take(name)?.unwrap_or_default())
    }

    /// Whether a field is there, be it `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`Code::UnsupportedField`] if a field is left, which the message names with its value and with the names that
    /// there are.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Some((name, value)) = self.values.first_key_value() else {
            return Ok(());
        };
        let message = format!(
            "unknown field `{}{name}` with the value {}; there are {}",
            self.within,
            shown(value),
            self.taken.join(", ")
        );
        Err(Error::new(Code::UnsupportedField, message))
    }

    fn wrong(&self, name: &str, value: &RawValue, error: &serde_json::Error) -> Error {
        let reason = error.to_string();
        // The line and column are within the value, which is shown.
        let reason = reason.split(" at line ").next().unwrap_or_default();
        let message = format!("`{}{name}` is {}: {reason}", self.within, shown(value));
        Error::new(Code::InvalidConfiguration, message)
    }
}

fn shown(value: &RawValue) -> String {
    let text = value.get();
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        Fields::new("", serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_field_that_nobody_takes_is_named_with_its_value() {
        let mut fields = fields(r#"{"a": 1, "b": {"c": [2]}}"#);
        assert_eq!(fields.take::<u8>("a").unwrap(), Some(1));
        assert_eq!(fields.take::<u8>("d").unwrap(), None);
        let error = fields.finish().unwrap_err();
        assert_eq!(error.code, Code::UnsupportedField);
        assert_eq!(
            error.to_string(),
            r#"unknown field `b` with the value {"c": [2]}; there are a, d"#
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_and_cut() {
        let json = format!(r#"{{"a": "{}"}}"#, "ü".repeat(1000));
        let mut fields = fields(&json);
        let error = fields.take::<u8>("a").unwrap_err();
        assert_eq!(error.code, Code::InvalidConfiguration);
        let message = error.to_string();
        assert!(message.starts_with("`a` is \"üü"), "{message}");
        assert!(
            message.contains('…') && message.contains("expected u8"),
            "{message}"
        );
        assert!(!message.contains("at line"), "{message}");
    }

    #[test]
    fn null_is_as_good_as_nothing() {
        let mut fields = fields(r#"{"a": null, "b": null}"#);
        assert!(fields.has("a") && !fields.has("c"));
        assert_eq!(fields.take::<String>("a").unwrap(), None);
        assert!(fields.take_object("b").unwrap().is_empty());
        fields.finish().unwrap();
    }
}
