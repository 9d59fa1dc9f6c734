//! The disk under the store: room, inodes, and whether its kind keeps what it says is kept.

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};

use super::Finding;
use crate::{
    config::Config,
    ops::checks::{
        DISK_DEGRADED_BYTES, DISK_DEGRADED_INODES, DISK_UNHEALTHY_BYTES, DISK_UNHEALTHY_INODES,
        Free,
    },
};

/// Kinds of file systems (statfs(2)) that do not keep what was synced, or not for long.
const UNSAFE: [(u64, &str, &str); 10] = [
    (
        0x0102_1994,
        "tmpfs",
        "it is memory: everything is gone with the next restart",
    ),
    (
        0x8584_58f6,
        "ramfs",
        "it is memory: everything is gone with the next restart",
    ),
    (
        0x6969,
        "NFS",
        "locks and syncs depend on the other machine and its settings",
    ),
    (
        0xff53_4d42,
        "CIFS",
        "locks and syncs depend on the other machine",
    ),
    (
        0xfe53_4d42,
        "SMB",
        "locks and syncs depend on the other machine",
    ),
    (0x0102_1997, "9p", "locks and syncs depend on the host"),
    (0x6573_5546, "FUSE", "syncs depend on the program behind it"),
    (
        0x794c_7630,
        "overlay",
        "it is the layer of a container: everything is gone with the container",
    ),
    (0x4d44, "FAT", "it has no owners and no journal"),
    (0x00c3_6400, "Ceph", "locks and syncs depend on the cluster"),
];

/// What the system says of a file system.
struct Volume {
    free: u64,
    /// None where the kind of file system has no such number.
    inodes_free: Option<u64>,
    kind: u64,
    read_only: bool,
    /// How it is mounted.
    options: String,
}

/// Looks at the file system of the store.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let path = &config.store.path;
    // A store that is not there yet will be where its nearest directory is.
    let mut there = path.ancestors().map(|one| {
        if one.as_os_str().is_empty() {
            Path::new(".")
        } else {
            one
        }
    });
    let existing = there.find(|one| one.exists()).unwrap_or(Path::new("."));
    let place = super::place("Store:Path", &path.display());
    match volume(existing) {
        Ok(volume) => judge(&volume, config.store.reserve_bytes.0, &place),
        Err(error) => vec![Finding::wrong(
            format!("the disk cannot be looked at: {error}"),
            place,
            "see that it is mounted",
        )],
    }
}

fn volume(path: &Path) -> std::io::Result<Volume> {
    let (room, kind) = (statvfs(path)?, statfs(path)?);
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let (path, free) = (path.canonicalize()?, Free::of(&room));
    Ok(Volume {
        free: free.bytes,
        inodes_free: free.inodes,
        kind: u64::try_from(kind.f_type).unwrap_or_default() & 0xffff_ffff,
        read_only: room.f_flag.contains(StatVfsMountFlags::RDONLY),
        options: options(&mounts, &path).to_owned(),
    })
}

/// The options of the mount that a path is on: the last that was made of those nearest to it.
fn options<'a>(mounts: &'a str, path: &Path) -> &'a str {
    let mount = |line: &'a str| {
        let mut fields = line.split(' ');
        let (point, options) = (fields.nth(1)?, fields.nth(1)?);
        path.starts_with(point).then_some((point.len(), options))
    };
    mounts
        .lines()
        .filter_map(mount)
        .max_by_key(|(length, _)| *length)
        .map_or("", |(_, options)| options)
}

fn judge(volume: &Volume, reserve: u64, place: &str) -> Vec<Finding> {
    let mut findings = vec![room(volume.free, reserve, place)];
    if volume.read_only {
        let next = "see in the kernel's log why (`dmesg`): after an error of the disk, look to its health and your backup first";
        findings.push(Finding::wrong("the file system is read-only", place, next));
    }
    let inodes = volume.inodes_free.unwrap_or(u64::MAX);
    let what = format!("only {inodes} more files can be made");
    let next = "remove files on that disk (`df -i`, `du --inodes`), or make a larger one";
    match inodes {
        ..DISK_UNHEALTHY_INODES => findings.push(Finding::wrong(what, place, next)),
        DISK_UNHEALTHY_INODES..DISK_DEGRADED_INODES => {
            findings.push(Finding::warning(what, place, next))
        }
        _ => {}
    }
    if let Some((_, name, why)) = UNSAFE.iter().find(|(kind, ..)| *kind == volume.kind) {
        let what = format!("the store is on {name}: {why}");
        let next =
            "keep the store on a local disk (ext4, XFS, Btrfs, ZFS); in a container, on a volume";
        findings.push(Finding::warning(what, place, next));
    }
    let risky = ["nobarrier", "barrier=0", "data=writeback"];
    if let Some(option) = volume
        .options
        .split(',')
        .find(|option| risky.contains(option))
    {
        let what = format!(
            "the disk is mounted with {option}: after a power cut, what was acknowledged may be gone"
        );
        findings.push(Finding::wrong(
            what,
            place,
            "remove that option in /etc/fstab and mount it again",
        ));
    }
    findings
}

fn room(free: u64, reserve: u64, place: &str) -> Finding {
    let what = format!("{} MB are free", free / 1_000_000);
    let next = "`relate-imap compact` gives back what deleted mail holds; else make room or a larger disk (docs/operations.md, \"The disk is full\")";
    if free < reserve {
        let what = format!(
            "{what}: no new mail is taken below Store:ReserveBytes ({} MB)",
            reserve / 1_000_000
        );
        Finding::wrong(what, place, next)
    } else if free < DISK_UNHEALTHY_BYTES {
        Finding::wrong(what, place, next)
    } else if free < DISK_DEGRADED_BYTES.max(reserve.saturating_mul(2)) {
        Finding::warning(what, place, next)
    } else {
        Finding::fine(what, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    const GOOD: Volume = Volume {
        free: 10_000_000_000,
        inodes_free: Some(1_000_000),
        kind: 0xef53,
        read_only: false,
        options: String::new(),
    };

    fn worst(volume: &Volume) -> Level {
        let findings = judge(volume, 200_000_000, "p");
        findings.iter().map(|finding| finding.level).max().unwrap()
    }

    #[test]
    fn room_and_inodes_decide() {
        let with = |free, inodes_free| Volume {
            free,
            inodes_free,
            ..GOOD
        };
        for (volume, level) in [
            (GOOD, Level::Fine),
            (with(900_000_000, GOOD.inodes_free), Level::Warning),
            (with(199_000_000, GOOD.inodes_free), Level::Wrong),
            (with(GOOD.free, Some(5_000)), Level::Warning),
            (with(GOOD.free, Some(5)), Level::Wrong),
            (with(GOOD.free, None), Level::Fine),
        ] {
            assert_eq!(worst(&volume), level);
        }
    }

    #[test]
    fn kind_and_options_decide() {
        let with = |kind, read_only, options: &str| Volume {
            kind,
            read_only,
            options: options.to_owned(),
            ..GOOD
        };
        for (volume, level) in [
            (with(0x0102_1994, false, ""), Level::Warning),
            (with(0x6969, false, ""), Level::Warning),
            (with(GOOD.kind, true, ""), Level::Wrong),
            (with(GOOD.kind, false, "rw,barrier=0"), Level::Wrong),
            (with(GOOD.kind, false, "rw,noatime"), Level::Fine),
        ] {
            assert_eq!(worst(&volume), level);
        }
    }

    #[test]
    fn the_nearest_mount_counts() {
        let mounts =
            "a / ext4 rw 0 0\nb /var ext4 rw,data=writeback 0 0\nc /var/lib xfs rw,x 0 0\n";
        for (path, expected) in [
            ("/var/lib/relate-imap", "rw,x"),
            ("/var/library", "rw,data=writeback"),
            ("/srv", "rw"),
        ] {
            assert_eq!(options(mounts, Path::new(path)), expected);
        }
    }

    #[test]
    fn memory_is_told_from_a_disk() {
        let found = volume(Path::new("/dev/shm"));
        let is_memory = |kind| UNSAFE.iter().any(|(unsafe_kind, ..)| *unsafe_kind == kind);
        assert!(found.is_ok_and(|found| is_memory(found.kind)));
    }
}
