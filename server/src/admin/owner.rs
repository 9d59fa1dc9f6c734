//! Whose the store is: commands that touch it work as the owner of its directory, so that no file
//! in it ever belongs to another user.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{set_thread_gid, set_thread_groups, set_thread_uid},
};

use crate::{cli::Exit, problem::Problem, serve::Failure};

/// Becomes the owner of the store's directory: root changes to that user, anyone else must be that
/// user already. Must be called before the program has a second thread, since the system changes
/// one thread only.
///
/// # Errors
/// The process may not become that user.
pub fn become_owner(store: &Path) -> Result<(), Failure> {
    // A store that does not exist will belong to who creates it.
    let Ok(directory) = std::fs::metadata(store) else {
        return Ok(());
    };
    let own = geteuid();
    if own.as_raw() == directory.uid() {
        return Ok(());
    }
    let place = format!("Store:Path, {}", store.display());
    if !own.is_root() {
        let what = format!(
            "the store belongs to user {}, you are user {}",
            directory.uid(),
            own.as_raw()
        );
        let next = format!(
            "run this as root or as that user: `sudo -u '#{}' relate-imap …`",
            directory.uid()
        );
        return Err(Failure::new(Exit::Failed, Problem::new(what, place, next)));
    }
    let (user, group) = (
        Uid::from_raw(directory.uid()),
        Gid::from_raw(directory.gid()),
    );
    let changed = set_thread_groups(&[group])
        .and_then(|()| set_thread_gid(group))
        .and_then(|()| set_thread_uid(user));
    changed.map_err(|error| {
        let what = format!("root cannot change to the store's owner: {error}");
        Failure::new(
            Exit::Failed,
            Problem::new(what, place, "run this as that user"),
        )
    })
}
