//! Pages of `docs/` that are made from the tree: one command writes them, tidy says when they are
//! out of date.

use std::path::Path;
use std::process::ExitCode;

use super::{Problem, Tree};
use crate::Fallible;

/// A page that is made.
pub(crate) struct Page {
    /// Its path from the top.
    pub(super) path: &'static str,
    /// What writes it, as one types it.
    pub(super) command: &'static str,
    /// What stands in it.
    pub(super) text: fn(&Tree) -> String,
}

impl Page {
    /// Writes the page.
    pub(crate) fn write(&self, root: &Path) -> Fallible<ExitCode> {
        let text = (self.text)(&Tree::load(root)?);
        let path = root.join(self.path);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        println!("{}: written", self.path);
        Ok(ExitCode::SUCCESS)
    }

    /// The page is what its command would write.
    pub(super) fn current(&self, tree: &Tree) -> Vec<Problem> {
        if tree.text(self.path) == Some((self.text)(tree).as_str()) {
            return Vec::new();
        }
        let what = format!("is out of date: {}", self.command);
        vec![Problem::new(self.path, 0, what)]
    }
}
