//! `--over` of `loadgen capacity`: an axis and its values, and what each makes of the plan and the server.

use std::num::NonZeroU32;
use std::str::FromStr;

use server::numbers::count;

use crate::host::target::Spec;
use crate::plan::{Payload, Plan, Sizes};
use crate::report::capacities::Axis;

/// An axis and its values, as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Over {
    axis: Axis,
    values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Count(NonZeroU32),
    Size(Sizes),
}

/// The plan and the server at each value of an axis.
#[derive(Debug)]
pub struct Along {
    /// What is varied.
    pub axis: Axis,
    /// The values.
    pub points: Vec<(u64, Plan, Spec)>,
}

impl Over {
    /// What each value makes of the plan and the server.
    pub(super) fn along(&self, plan: &Plan, server: &Spec) -> Result<Along, String> {
        let point = |value: &Value| {
            let (mut plan, mut server) = (plan.clone(), server.clone());
            let value = match (self.axis, *value) {
                (_, Value::Size(size)) => {
                    if matches!(plan.message.payload, Payload::File(_)) {
                        return Err("--over size: the payload is a file, which has a size of its own".to_owned());
                    }
                    plan.message.size = size;
                    size.max() as u64
                }
                (Axis::Threads, Value::Count(threads)) => {
                    server = with_threads(server, threads)?;
                    threads.get().into()
                }
                (_, Value::Count(connections)) => {
                    plan.connections = connections;
                    connections.get().into()
                }
            };
            Ok((value, plan, server))
        };
        let points = self.values.iter().map(point).collect::<Result<Vec<_>, _>>()?;
        if let Some(i) = (1..points.len()).find(|&i| points[..i].iter().any(|before| before.0 == points[i].0)) {
            return Err(format!(
                "--over: value {} goes by the name {} in the report, as one before it does; expected sizes whose largest differ",
                i + 1,
                points[i].0
            ));
        }
        Ok(Along { axis: self.axis, points })
    }
}

fn with_threads(server: Spec, threads: NonZeroU32) -> Result<Spec, String> {
    match server {
        Spec::Embedded(flags) if flags.iter().any(|flag| flag == "--threads" || flag.starts_with("--threads=")) => {
            Err("--over threads: --server gives --threads too; expected one of them".to_owned())
        }
        Spec::Embedded(mut flags) => {
            flags.extend(["--threads".to_owned(), threads.to_string()]);
            Spec::Embedded(flags).checked()
        }
        Spec::Command(words) if words.iter().any(|word| word.contains(PLACE)) => {
            Ok(Spec::Command(words.iter().map(|word| word.replace(PLACE, &threads.to_string())).collect()))
        }
        Spec::Command(_) => Err(format!("--over threads: expected {PLACE} in the command of --server")),
        Spec::Url(_) => Err("--over threads: a server that runs already has the threads that it has".to_owned()),
    }
}

impl FromStr for Over {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, values) = text.split_once('=').ok_or_else(|| format!("expected AXIS=VALUE,..., as {EXAMPLE}"))?;
        let axis = [Axis::Connections, Axis::Size, Axis::Threads].into_iter().find(|axis| axis.name() == name);
        let axis = axis.ok_or_else(|| {
            let closed = if name == "in-flight" { IN_FLIGHT } else { "" };
            format!("'{name}' is no axis; expected connections, size or threads{closed}")
        })?;
        let value = |text: &str| match axis {
            Axis::Size => text.parse().map(Value::Size),
            Axis::Connections | Axis::Threads => count(text).map(Value::Count),
        };
        let values = values.split(',').map(|text| value(text.trim()).map_err(|why| format!("'{text}': {why}")));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        if let Some(i) = (1..values.len()).find(|&i| values[..i].contains(&values[i])) {
            return Err(format!("value {} is one of those before it", i + 1));
        }
        Ok(Self { axis, values })
    }
}

/// Where a command is told its threads.
const PLACE: &str = "{threads}";

/// A search offers rates in an open loop, in which as many messages are in flight as the server leaves unanswered.
const IN_FLIGHT: &str =
    ", or loadgen sweep --vary-load in-flight=1,2,4,8 for the rates of closed loops and their scalability law";

const EXAMPLE: &str = "connections=100,1k,10k";
