//! Metrics of the process, with the names that all Prometheus clients use. Read at each scrape, on Linux.

use std::fmt;
use std::fs;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Names of the metrics.
pub(super) const NAMES: [&str; 6] = [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
];

/// Clock ticks per second in `/proc`, on all platforms that Linux supports.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct ProcessCollector {
    /// Seconds since 1970.
    started_at: f64,
}

impl ProcessCollector {
    /// Creates a collector. The process has just started.
    pub(super) fn new() -> Self {
        let started_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { started_at: started_at.as_secs_f64() }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let [cpu, resident, virtual_memory, open_files, max_files, started] = NAMES;
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            // The encoder adds the suffix of counters.
            let name = cpu.trim_end_matches("_total");
            let metric = encoder.encode_descriptor(name, "Time of all cores.", None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        for (name, help, value) in [
            (resident, "Memory in RAM.", number_after(&status, "VmRSS:").map(kilobytes)),
            (virtual_memory, "Virtual memory.", number_after(&status, "VmSize:").map(kilobytes)),
            // Without the one that lists them.
            (
                open_files,
                "Open file descriptors.",
                open.map(|count| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) - 1.0),
            ),
            (max_files, "Maximum number of open file descriptors.", number_after(&limits, "Max open files")),
            (started, "Start of the process, in seconds since 1970.", Some(self.started_at)),
        ] {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
                gauge.encode(metric)?;
            }
        }
        Ok(())
    }
}

/// CPU time of the process in user and kernel mode.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may contain spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map_while(|ticks| ticks.parse::<f64>().ok());
    Some((times.next()? + times.next()?) / TICKS_PER_SECOND)
}

/// Returns the first number after a label.
fn number_after(text: &str, label: &str) -> Option<f64> {
    text.split_once(label)?.1.split_whitespace().next()?.parse().ok()
}

fn kilobytes(count: f64) -> f64 {
    count * 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_behind_their_labels() {
        let status = "VmPeak:\t  300 kB\nVmSize:\t  200 kB\nVmRSS:\t   50 kB\n";
        assert_eq!((number_after(status, "VmRSS:"), number_after(status, "VmSwap:")), (Some(50.0), None));
    }
}
