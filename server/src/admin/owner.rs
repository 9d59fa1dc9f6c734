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
    let changed = set_thread_groups(&groups(user.as_raw(), group))
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

/// Refuses to serve as root what belongs to somebody else: files of root's in the store would stop
/// the server at its next start as its own user.
///
/// # Errors
/// This is root, and the store's directory is another user's.
pub fn refuse_root(store: &Path) -> Result<(), Failure> {
    let owner = std::fs::metadata(store).map_or(0, |directory| directory.uid());
    if owner == 0 || !geteuid().is_root() {
        return Ok(());
    }
    let what =
        format!("the store belongs to user {owner}, and root would leave files of its own in it");
    let next = format!(
        "start it by its unit (`systemctl start relate-imap`), or as that user: \
         `setpriv --reuid {owner} --clear-groups relate-imap serve`"
    );
    let place = format!("Store:Path, {}", store.display());
    Err(Failure::new(Exit::Failed, Problem::new(what, place, next)))
}

/// The user's groups: that of the directory, and those that name the user, such as one that may
/// read private keys.
fn groups(user: u32, group: Gid) -> Vec<Gid> {
    let [passwd, lists] =
        ["/etc/passwd", "/etc/group"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let mut groups = vec![group];
    groups.extend(
        further_groups(user, &passwd, &lists)
            .into_iter()
            .map(Gid::from_raw),
    );
    groups
}

/// The groups (group(5)) whose members name this user (passwd(5)).
fn further_groups(user: u32, passwd: &str, lists: &str) -> Vec<u32> {
    let is_user = |line: &&str| line.split(':').nth(2) == Some(user.to_string().as_str());
    let found = passwd
        .lines()
        .find(is_user)
        .and_then(|line| line.split(':').next());
    let Some(name) = found else {
        return Vec::new();
    };
    let member_of = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_member = fields.get(3)?.split(',').any(|member| member == name);
        is_member.then(|| fields.get(2)?.parse().ok()).flatten()
    };
    lists.lines().filter_map(member_of).collect()
}

#[cfg(test)]
mod tests {
    use super::further_groups;

    #[test]
    fn groups_that_name_the_user_are_its_groups() {
        let passwd = "root:x:0:0:::\nmail:x:8:8:::\n";
        let lists = "root:x:0:\nssl-cert:x:110:postgres,mail\nadm:x:4:root\nbroken\n";
        for (user, expected) in [(8, vec![110]), (0, vec![4]), (9, vec![])] {
            assert_eq!(further_groups(user, passwd, lists), expected);
        }
    }
}
