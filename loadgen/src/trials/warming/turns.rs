//! Load that nobody counts, for several servers in turns: as they are measured later, so that none of them rests for long while
//! another one is warmed up. After a rest of some seconds Node was seen to be slower for a while.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::load::error::RunError;
use crate::trials::failure::TrialError;
use crate::trials::up::Up;

/// Runs each of these `servers` for `length`, in turns of their order. Returns how long that takes of all.
pub fn in_turns(
    length: Duration,
    ups: &mut [Up<'_, '_>],
    servers: &[usize],
    rng: &mut SmallRng,
    show: &mut dyn FnMut() -> bool,
) -> Result<Duration, TrialError> {
    let turns = turns(length);
    for _ in 0..turns {
        for &server in servers {
            if show() {
                return Err(RunError::Interrupted.into());
            }
            ups[server].settle(length / turns, rng.random(), &mut |_| ())?;
        }
    }
    Ok(length * servers.len() as u32)
}

/// How many turns of a server there are in so long.
pub fn turns(length: Duration) -> u32 {
    length.div_duration_f64(TURN).ceil().max(1.0) as u32
}

/// How long a turn is at the most, and a slice of a warm-up that is looked at, at the least: there are dozens of them in the seconds
/// that a compiler at run time takes.
pub const TURN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shared_out_in_turns_of_equal_length() {
        let of = |millis| turns(Duration::from_millis(millis));
        assert_eq!([0, 1, 100, 101, 3_000].map(of), [1, 1, 1, 2, 30]);
    }
}
