//! Whether the system gives the server what the configuration promises its clients: open files and
//! memory.

use std::fs;

use rustix::process::{Resource, getrlimit};

use super::{
    Finding,
    running::{self, Server},
};
use crate::config::Config;

/// A connection that has not logged in counts this much against `Limits:PreLoginPoolBytes`.
const CONNECTION_BYTES: u64 = 64 * 1024;
/// Files the store, the log and the listeners have open besides connections.
const OTHER_FILES: u64 = 256;
/// Memory the program needs besides what is configured, bytes.
const OTHER_BYTES: u64 = 64 << 20;

/// Looks at the running server's limits, or at those of whoever asks.
pub(super) async fn check(
    config: &Config,
    server: &Result<Option<Server>, Finding>,
) -> Vec<Finding> {
    let process = match server {
        Ok(Some(server)) => server.process,
        _ => None,
    };
    let accounts = match process {
        Some(_) => running::accounts(config).await,
        None => None,
    };
    let files = process
        .and_then(limit_of)
        .unwrap_or_else(|| getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX));
    vec![
        open_files(config, files, accounts),
        memory(config, available(process)),
    ]
}

/// The hard limit of open files of another process.
fn limit_of(process: i32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn open_files(config: &Config, files: u64, accounts: Option<usize>) -> Finding {
    let before_login = config.limits.pre_login_pool_bytes.0 / CONNECTION_BYTES;
    let sessions = accounts
        .map_or(0, |count| count as u64)
        .saturating_mul(u64::from(config.imap.max_connections_per_user));
    let wanted = before_login
        .saturating_add(sessions)
        .saturating_add(OTHER_FILES);
    let shown = if files == u64::MAX {
        "any number of".to_owned()
    } else {
        files.to_string()
    };
    let what = format!(
        "the server may have {shown} files open, and {wanted} connections and files are allowed by the configuration"
    );
    let next = "raise it: LimitNOFILE= in the unit (`systemctl edit relate-imap`), `ulimit -n` in a shell; or lower Imap:MaxConnectionsPerUser";
    let place = "open files (RLIMIT_NOFILE)";
    match files {
        ..1_024 => Finding::wrong(what, place, next),
        _ if files < wanted => Finding::warning(what, place, next),
        _ => Finding::fine(what, place),
    }
}

/// What a process may use: the machine's memory, or less if its control group says so.
fn available(process: Option<i32>) -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let total = kib(&info, "MemTotal:")?;
    let who = process.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let groups = fs::read_to_string(format!("/proc/{who}/cgroup")).unwrap_or_default();
    let group = groups
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or_default();
    let limit = fs::read_to_string(format!("/sys/fs/cgroup{group}/memory.max")).ok();
    let limit = limit.and_then(|text| text.trim().parse().ok());
    Some(limit.map_or(total, |limit: u64| limit.min(total)))
}

fn kib(info: &str, name: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()?
        .checked_mul(1_024)
}

fn memory(config: &Config, available: Option<u64>) -> Finding {
    let wanted = config.store.cache_bytes.0 + config.limits.pre_login_pool_bytes.0 + OTHER_BYTES;
    let place = "memory";
    let mib = |bytes: u64| bytes >> 20;
    let Some(available) = available else {
        return Finding::fine("how much there is cannot be told here", place);
    };
    let what = format!(
        "the server may use {} MiB, and up to {} MiB are configured",
        mib(available),
        mib(wanted)
    );
    if available < wanted {
        let next = "lower Store:CacheBytes and Limits:PreLoginPoolBytes, or give it more (MemoryMax= in the unit)";
        return Finding::warning(what, place, next);
    }
    Finding::fine(what, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Options, doctor::Level};

    #[test]
    fn limits_below_what_is_configured_are_told() {
        let config = crate::config::load(&Options::default()).unwrap().config;
        for (files, accounts, level) in [
            (1_000, None, Level::Wrong),
            (4_000, None, Level::Warning),
            (5_000, None, Level::Fine),
            (5_000, Some(1_000), Level::Warning),
            (u64::MAX, Some(1_000_000), Level::Fine),
        ] {
            assert_eq!(open_files(&config, files, accounts).level, level, "{files}");
        }
        for (bytes, level) in [
            (Some(256 << 20), Level::Warning),
            (Some(4 << 30), Level::Fine),
            (None, Level::Fine),
        ] {
            assert_eq!(memory(&config, bytes).level, level, "{bytes:?}");
        }
    }

    #[test]
    fn the_system_is_asked() {
        assert!(limit_of(std::process::id().cast_signed()).is_some_and(|files| files > 0));
        assert!(available(None).is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(
            kib("MemFree:  1 kB\nMemTotal:   2048 kB\n", "MemTotal:"),
            Some(2 << 20)
        );
    }
}
