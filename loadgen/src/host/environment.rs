//! Where a run was made and how to make it again: the facts that decide whether two reports may be compared. No secrets:
//! no host name, and of additional request headers the names only.

use std::fs;
use std::thread;

use procfs::{CpuInfo, Current as _, Meminfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::cores::Cores;
use crate::plan::Plan;

/// Where a run was made and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// The kernel's release.
    pub kernel: String,
    /// The processor architecture that Fathom was built for.
    pub architecture: String,
    /// The CPU's model; null where the kernel does not tell.
    pub cpu: Option<String>,
    /// How many CPUs there are.
    pub cores: CpuCount,
    /// What governs the clock of the first CPU; null where the kernel does not, as in most virtual machines.
    pub governor: Option<String>,
    /// The machine's memory in bytes; null where the kernel does not tell.
    pub memory_bytes: Option<u64>,
    /// Fathom's version.
    pub fathom: String,
    /// The commit it was built from, marked `-dirty` where the sources differed from it; `unknown` outside a repository.
    pub git_revision: String,
    /// The compiler that built it.
    pub rustc: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// The whole plan, the values of additional headers left out.
    pub plan: Plan,
    /// The SHA-256 of all payloads that were sent, in hexadecimal: of the cycle of messages, with their frames' headers.
    /// Null where it is not known.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub payload_sha256: Option<String>,
    /// What a Fathom server says of its own configuration; null for another server.
    pub server_config: Option<serde_json::Value>,
}

/// How many CPUs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CpuCount {
    /// Online, on the whole machine; null where the kernel does not tell.
    #[schemars(range(min = 1))]
    pub online: Option<usize>,
    /// That the load generator may use, by affinity and by cgroup quota.
    #[schemars(range(min = 1))]
    pub allowed: usize,
}

impl Environment {
    /// The environment of this process, about to run `plan`.
    pub fn collect(plan: &Plan, payload_sha256: Option<String>, server_config: Option<serde_json::Value>) -> Self {
        let cpus = CpuInfo::current().ok();
        let mut plan = plan.clone();
        for (_, value) in &mut plan.connect.headers {
            // Tokens and cookies are what such headers are for.
            *value = "(not recorded)".to_owned();
        }
        Self {
            kernel: line_of("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
            architecture: std::env::consts::ARCH.to_owned(),
            cpu: cpus.as_ref().and_then(|cpus| cpus.model_name(0)).map(str::to_owned),
            cores: CpuCount {
                online: cpus.as_ref().map(CpuInfo::num_cores),
                allowed: thread::available_parallelism().map_or(1, usize::from),
            },
            governor: line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            memory_bytes: Meminfo::current().ok().map(|memory| memory.mem_total),
            fathom: env!("CARGO_PKG_VERSION").to_owned(),
            git_revision: env!("FATHOM_GIT_REVISION").to_owned(),
            rustc: env!("FATHOM_RUSTC").to_owned(),
            seed: plan.seed,
            plan,
            payload_sha256,
            server_config,
        }
    }
}

/// What /proc and the scheduler refuse, and what is not known or done for that. Neither is a condition for a measurement.
pub fn refusals() -> Vec<String> {
    let mut refusals = Vec::new();
    if let Err(error) = fs::read("/proc/self/stat") {
        refusals.push(format!(
            "/proc cannot be read ({error}): the memory of processes, who listens, and whether a CPU quota or the hypervisor \
             withheld CPU time are not known"
        ));
    }
    if let Some(error) = Cores::refusal() {
        refusals.push(format!(
            "the scheduler does not let threads be kept to cores ({error}): the server and the generator may share theirs"
        ));
    }
    refusals
}

fn line_of(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|line| !line.is_empty())
}
