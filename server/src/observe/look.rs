//! What is looked up when somebody asks: the store, the disk, the certificate, the process.

use std::{fs, time::UNIX_EPOCH};

use store::Rebuilding;

use super::{cells::Gauge, metrics::Metrics};
use crate::{log, ops::checks, service::Service};

/// Looks everything up that is not counted as it happens. What may take long is asked for beside
/// what serves.
pub(super) async fn look(service: &Service) {
    let metrics = &*service.observe.metrics;
    metrics.panics.set(log::panics());
    let started = service.observe.started_secs.get();
    set(&metrics.started, started.copied());
    set(&metrics.pre_login_bytes, Some(service.pre_login.used()));
    set(&metrics.certificate_expiry, certificate_expiry(service));
    look_at_store(service, metrics);
    let path = service.config.store.path.clone();
    let process = tokio::task::spawn_blocking(Process::look);
    let (free, process) = tokio::join!(checks::free(path), process);
    set(&metrics.disk_free, free.ok().map(|free| free.bytes));
    let process = process.unwrap_or_default();
    set(&metrics.memory, process.memory_bytes);
    set(&metrics.open_files, process.open_files);
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let secs = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    metrics.cpu.set(secs);
}

/// A number, or that it is not known.
fn set(gauge: &Gauge, value: Option<u64>) {
    match value {
        Some(value) => gauge.set(value as f64),
        None => gauge.unset(),
    }
}

fn look_at_store(service: &Service, metrics: &Metrics) {
    let store = &*service.store;
    let measures = store.measures();
    metrics.commits.set(measures.commits);
    metrics.commit_failures.set(measures.commit_failures);
    metrics.commit_duration.set(measures.commit_times);
    metrics.commit_batch.set(measures.commit_batches);
    set(&metrics.queue_items, Some(measures.queue_items));
    set(&metrics.queue_bytes, Some(measures.queue_bytes));
    set(&metrics.index_lag, Some(measures.index_lag_frames));
    look_at_rebuild(store.rebuilding(), metrics);
    set(&metrics.store_writable, Some(store.health().is_ok().into()));
    let room = store.room();
    set(&metrics.bodies_live, Some(room.live_bytes));
    set(&metrics.bodies_waiting, Some(room.waiting_bytes));
    set(&metrics.bodies_dead, Some(room.dead_bytes));
    set(&metrics.accounts, Some(store.account_count() as u64));
}

fn look_at_rebuild(rebuilding: Option<Rebuilding>, metrics: &Metrics) {
    let left = rebuilding.map_or(0, |it| it.accounts.saturating_sub(it.accounts_done));
    set(&metrics.index_rebuild, Some(left));
}

/// When the certificate that ends first ends, seconds since 1970.
fn certificate_expiry(service: &Service) -> Option<u64> {
    let certificates = service.tls.as_ref()?.certificates();
    let ends = certificates.iter().map(|one| one.not_after());
    let secs = ends.filter_map(|end| end.duration_since(UNIX_EPOCH).ok());
    secs.map(|end| end.as_secs()).min()
}

/// What the system knows of this process, as far as files say it.
#[derive(Default)]
struct Process {
    memory_bytes: Option<u64>,
    open_files: Option<u64>,
}

impl Process {
    fn look() -> Self {
        let pages = fs::read_to_string("/proc/self/statm").ok();
        let resident = pages.and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
        let page_bytes = rustix::param::page_size() as u64;
        // The directory that is read is open itself.
        let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        Self {
            memory_bytes: resident.map(|pages| pages.saturating_mul(page_bytes)),
            open_files: open.map(|count| count.saturating_sub(1) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::metrics::Value;

    #[test]
    fn accounts_that_are_not_made_again_yet_are_counted() {
        let metrics = Metrics::new();
        let of_four = |accounts_done| Rebuilding {
            accounts: 4,
            accounts_done,
            ..Rebuilding::default()
        };
        for (rebuilding, left) in [
            (Some(of_four(1)), 3.0),
            (Some(of_four(4)), 0.0),
            (None, 0.0),
        ] {
            look_at_rebuild(rebuilding, &metrics);
            let families = metrics.read();
            let mut families = families.iter();
            let family = families.find(|it| it.row.name == "store.index.rebuild.accounts");
            let point = &family.unwrap().points[0];
            assert!(
                matches!(point.value, Value::Real(told) if told == left),
                "{left}"
            );
        }
    }
}
