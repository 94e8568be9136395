//! Which combinations of flags are measured, and which contrasts between them say what a flag is worth.

use super::contrast::Contrast;
use crate::report::sweep::{Factor, Of, Setting, Step};

/// The combinations to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Design {
    factors: Vec<Factor>,
    /// The number of each factor's value, by arm; the reference, all zero, is the first.
    arms: Vec<Vec<usize>>,
    one_at_a_time: bool,
}

impl Design {
    /// All combinations of the factors' values, or only those that differ from the reference in one.
    ///
    /// # Errors
    /// When there are more than [`MOST_ARMS`] of them.
    pub fn new(factors: Vec<Factor>, one_at_a_time: bool) -> Result<Self, String> {
        let values = factors.iter().map(|factor| factor.values.len());
        let count = if one_at_a_time {
            values.map(|values| values - 1).fold(1usize, usize::saturating_add)
        } else {
            values.fold(1usize, usize::saturating_mul)
        };
        if count > MOST_ARMS {
            return Err(format!(
                "{count} combinations or more are more than the {MOST_ARMS} servers that can be up at once; expected fewer \
                 values, or --one-at-a-time"
            ));
        }
        let mut arms = vec![vec![0; factors.len()]];
        for (i, factor) in factors.iter().enumerate() {
            let bases = if one_at_a_time { arms[..1].to_vec() } else { arms.clone() };
            for value in 1..factor.values.len() {
                arms.extend(bases.iter().cloned().map(|mut arm| {
                    arm[i] = value;
                    arm
                }));
            }
        }
        Ok(Self { factors, arms, one_at_a_time })
    }

    /// The factors.
    pub fn factors(&self) -> &[Factor] {
        &self.factors
    }

    /// How many combinations there are.
    pub fn arms(&self) -> usize {
        self.arms.len()
    }

    /// Whether interactions were left out.
    pub fn is_one_at_a_time(&self) -> bool {
        self.one_at_a_time
    }

    /// The flags of a combination.
    pub fn settings(&self, arm: usize) -> Vec<Setting> {
        let setting = |(factor, &value): (&Factor, &usize)| Setting {
            name: self.label(factor),
            value: factor.values[value].clone(),
        };
        self.factors.iter().zip(&self.arms[arm]).map(setting).collect()
    }

    /// The factor's name, which says that it is the load's where the server has a flag of that name varied too.
    fn label(&self, factor: &Factor) -> String {
        let shared = self.factors.iter().any(|other| other.name == factor.name && other.of != factor.of);
        match factor.of {
            Of::Load if shared => format!("load-{}", factor.name),
            Of::Load | Of::Server => factor.name.clone(),
        }
    }

    /// A factor's name in the settings, and the combinations that differ from the reference in nothing else: one for each of its
    /// values, the reference first.
    pub fn along(&self, factor: usize) -> (String, Vec<usize>) {
        let differs_in_it_alone =
            |arm: &usize| self.arms[*arm].iter().enumerate().all(|(i, value)| i == factor || *value == 0);
        (self.label(&self.factors[factor]), (0..self.arms()).filter(differs_in_it_alone).collect())
    }

    /// The flags of a combination that belong to the server or to the load, as arguments.
    pub fn arguments(&self, arm: usize, of: Of) -> Vec<String> {
        let flags = self.factors.iter().zip(&self.arms[arm]).filter(|(factor, _)| factor.of == of);
        let words = |(Factor { name, values, .. }, &value): (&Factor, &usize)| match of {
            Of::Server => vec![format!("--{name}"), values[value].clone()],
            // One word, which no flag of the load takes amiss: a value may be optional.
            Of::Load => vec![format!("--{name}={}", values[value])],
        };
        flags.flat_map(words).collect()
    }

    /// The main effects, each of one value against the first, averaged over all other factors; and in a full design the
    /// interactions of every two, which are how much more (or less) both steps do together than each by itself.
    pub fn contrasts(&self) -> Vec<(Vec<Step>, Contrast)> {
        let steps: Vec<(usize, usize)> = self
            .factors
            .iter()
            .enumerate()
            .flat_map(|(i, factor)| (1..factor.values.len()).map(move |value| (i, value)))
            .collect();
        let mut contrasts: Vec<_> = steps.iter().map(|step| self.contrast(&[*step])).collect();
        if !self.one_at_a_time {
            for (n, first) in steps.iter().enumerate() {
                let others = steps[n + 1..].iter().filter(|second| second.0 != first.0);
                contrasts.extend(others.map(|second| self.contrast(&[*first, *second])));
            }
        }
        contrasts
    }

    /// Each arm counts with the product of its signs: plus at the step's value, minus at the first, not at another.
    fn contrast(&self, steps: &[(usize, usize)]) -> (Vec<Step>, Contrast) {
        let sign = |arm: &[usize]| -> f64 {
            let of_step = |&(i, value): &(usize, usize)| match arm[i] {
                0 => -1.0,
                at if at == value => 1.0,
                _ => 0.0,
            };
            steps.iter().map(of_step).product()
        };
        let stands = |arm: &[usize]| {
            // One at a time, only the reference and the step itself tell.
            !self.one_at_a_time
                || arm.iter().enumerate().all(|(i, at)| *at == 0 || steps.iter().any(|step| step.0 == i))
        };
        let mut weights: Vec<(usize, f64)> = self
            .arms
            .iter()
            .enumerate()
            .filter(|(_, arm)| stands(arm))
            .map(|(number, arm)| (number, sign(arm)))
            .filter(|(_, sign)| *sign != 0.0)
            .collect();
        let cells = weights.len() as f64 / f64::from(1u32 << steps.len());
        weights.iter_mut().for_each(|(_, weight)| *weight /= cells);
        let step = |&(i, value): &(usize, usize)| {
            let factor = &self.factors[i];
            Step { name: self.label(factor), from: factor.values[0].clone(), to: factor.values[value].clone() }
        };
        (steps.iter().map(step).collect(), Contrast(weights))
    }
}

/// Servers that are up at once: each has its connections, its worker threads and some 10 MB.
pub const MOST_ARMS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(name: &str, values: &[&str]) -> Factor {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        Factor { name: name.to_owned(), values, of: Of::Server }
    }

    fn said(steps: &[Step]) -> String {
        steps.iter().map(|step| format!("{}={}", step.name, step.to)).collect::<Vec<_>>().join(" x ")
    }

    #[test]
    fn effects_are_recovered_from_figures_that_have_them() {
        let design = Design::new(vec![factor("a", &["0", "1"]), factor("b", &["x", "y", "z"])], false).unwrap();
        assert_eq!(design.arms(), 6);
        assert_eq!(design.arguments(0, Of::Server), ["--a", "0", "--b", "x"]);
        assert!(design.arguments(0, Of::Load).is_empty());
        // Log figures: a adds 1, y adds 0.1, z adds 0.2, and a with z another 0.04.
        let figure = |arm: usize| {
            let settings = design.settings(arm);
            let (a, b) = (settings[0].value == "1", settings[1].value.as_str());
            let b_adds = match b {
                "y" => 0.1,
                "z" => 0.2,
                _ => 0.0,
            };
            let log: f64 = f64::from(u8::from(a)) + b_adds + if a && b == "z" { 0.04 } else { 0.0 };
            Some(log.exp())
        };
        let expected =
            [("a=1", 1.0 + 0.04 / 3.0), ("b=y", 0.1), ("b=z", 0.22), ("a=1 x b=y", 0.0), ("a=1 x b=z", 0.04)];
        let contrasts = design.contrasts();
        assert_eq!(contrasts.len(), expected.len());
        for ((steps, contrast), (name, effect)) in contrasts.iter().zip(expected) {
            assert_eq!(said(steps), name);
            let value = contrast.of(figure).unwrap();
            assert!((value - effect).abs() < 1e-12, "{name}: {value}, expected {effect}");
        }
        assert_eq!(contrasts[0].1.of(|arm| (arm > 0).then_some(1.0)), None, "a missing arm");
        let (name, arms) = design.along(1);
        let settings: Vec<String> = arms.iter().map(|arm| design.settings(*arm)[1].to_string()).collect();
        assert_eq!((name.as_str(), settings), ("b", ["b=x", "b=y", "b=z"].map(str::to_owned).to_vec()));
        assert!(arms.iter().all(|arm| design.settings(*arm)[0].value == "0"));
    }

    #[test]
    fn a_flag_of_both_sides_says_whose_it_is() {
        let both = [Of::Server, Of::Load].map(|of| Factor { of, ..factor("tcp-nodelay", &["on", "off"]) });
        let design = Design::new(both.to_vec(), false).unwrap();
        let names: Vec<String> = design.settings(3).into_iter().map(|setting| setting.name).collect();
        assert_eq!(names, ["tcp-nodelay", "load-tcp-nodelay"]);
        assert_eq!(design.arguments(3, Of::Load), ["--tcp-nodelay=off"]);
        assert_eq!(said(&design.contrasts()[2].0), "tcp-nodelay=off x load-tcp-nodelay=off");
    }

    #[test]
    fn one_at_a_time_leaves_the_rest_at_the_reference() {
        let design = Design::new(vec![factor("a", &["0", "1"]), factor("b", &["x", "y", "z"])], true).unwrap();
        assert_eq!(design.arms(), 4);
        let contrasts = design.contrasts();
        let names: Vec<String> = contrasts.iter().map(|(steps, _)| said(steps)).collect();
        assert_eq!(names, ["a=1", "b=y", "b=z"]);
        assert_eq!(contrasts[2].1, Contrast(vec![(0, -1.0), (3, 1.0)]));
    }

    #[test]
    fn too_many_combinations_are_refused() {
        let many: Vec<Factor> = (0..7).map(|i| factor(&i.to_string(), &["0", "1"])).collect();
        assert!(Design::new(many.clone(), false).unwrap_err().contains("128 combinations"));
        assert_eq!(Design::new(many, true).unwrap().arms(), 8);
    }
}
