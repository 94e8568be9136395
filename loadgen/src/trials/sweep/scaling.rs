//! How the rate grows along a flag of which there is more and more.

use crate::judge::statistics::Point;
use crate::measure::metric::Metric;
use crate::plan::{Load, Plan};
use crate::report::scaling::{Scalability, Scaled};
use crate::report::sweep::{ArmReport, Factor, Of, Scaling, ScalingPoint};
use crate::trials::course::Arm;
use crate::trials::design::Design;

/// The law along each such flag that has values enough for one. A load at which no reply was counted is left out.
pub(super) fn of(design: &Design, arms: &[Arm], reports: &[ArmReport]) -> Vec<Scaling> {
    let along = |(number, factor): (usize, &Factor)| {
        let (name, combinations) = design.along(number);
        let loads: Option<Vec<(Scaled, u64)>> =
            combinations.iter().zip(&factor.values).map(|(&arm, value)| load(factor, value, &arms[arm].plan)).collect();
        let loads = loads.filter(|loads| loads.len() >= ENOUGH)?;
        let point = |(&arm, &(_, load)): (&usize, &(Scaled, u64))| {
            let rate = *reports[arm].shown.get(&Metric::Throughput)?;
            Some(ScalingPoint { load, rate })
        };
        let points: Vec<ScalingPoint> = combinations.iter().zip(&loads).filter_map(point).collect();
        let fitted =
            points.iter().map(|point| Point { load: point.load as f64, throughput: point.rate }).collect::<Vec<_>>();
        Some(Scaling { name, of: loads[0].0, points, scalability: Scalability::of(&fitted) })
    };
    design.factors().iter().enumerate().filter_map(along).collect()
}

/// What there is how much of at this value of the flag; `None` where it is not such a flag, or the load is not a closed loop, whose
/// rate is what the server makes of it.
fn load(factor: &Factor, value: &str, plan: &Plan) -> Option<(Scaled, u64)> {
    let Load::Closed { in_flight } = plan.load else { return None };
    match (factor.of, factor.name.as_str()) {
        (Of::Server, "threads") => Some((Scaled::Threads, value.parse().ok()?)),
        (Of::Load, "in-flight" | "connections") => {
            Some((Scaled::InFlight, u64::from(plan.connections.get()) * u64::from(in_flight.get())))
        }
        _ => None,
    }
}

/// Its three coefficients take as many values.
const ENOUGH: usize = 3;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::plan::tests::plan;

    fn factor(of: Of, name: &str) -> Factor {
        Factor { name: name.to_owned(), values: Vec::new(), of }
    }

    #[test]
    fn in_flight_are_all_connections_messages_together() {
        let [connections, in_flight] = [20, 3].map(|count| NonZeroU32::new(count).unwrap());
        let plan = Plan { connections, load: Load::Closed { in_flight }, ..plan() };
        assert_eq!(load(&factor(Of::Load, "in-flight"), "3", &plan), Some((Scaled::InFlight, 60)));
        assert_eq!(load(&factor(Of::Load, "connections"), "20", &plan), Some((Scaled::InFlight, 60)));
        assert_eq!(load(&factor(Of::Server, "threads"), "4", &plan), Some((Scaled::Threads, 4)));
        assert_eq!(load(&factor(Of::Server, "threads"), "auto", &plan), None);
        assert_eq!(load(&factor(Of::Load, "size"), "64", &plan), None);
    }
}
