//! Which workarounds for clients are on.

use super::{Bounds, Raw, Setting, items};
use crate::quirks::{Quirks, TABLE};

impl Setting for Quirks {
    fn allowed(_: &Bounds) -> String {
        let names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        format!(
            "All, None, or some of {} separated by commas",
            names.join(", ")
        )
    }

    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        Self::read(&Raw::Text(text.to_owned()), bounds)
    }

    fn show(&self) -> String {
        self.words()
    }

    fn read(raw: &Raw, _: &Bounds) -> Result<Self, String> {
        let words = items(raw)?;
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        Self::named(&words).map_err(|word| format!("has {word:?}, not a workaround"))
    }
}
