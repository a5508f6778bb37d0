//! How many steps a submission holds, so that each takes about as long as it should.

use std::time::{Duration, Instant};

/// Most steps in a submission.
pub const MOST_STEPS: usize = 64;
/// How long a submission should take.
const AIM: Duration = Duration::from_millis(25);
/// A step that takes longer is cut into several submissions: drivers take a submission for hung after two
/// seconds or more.
const LONG: Duration = Duration::from_millis(500);
/// Most submissions of one step. Fewer dispatches than that make as many submissions as there are.
const MOST_PARTS: usize = 64;

/// The pace, adapted to what submissions take.
pub struct Pace {
    /// Steps in the next submission.
    pub steps: usize,
    /// Submissions in which a single step is made.
    pub parts: usize,
    last_completion: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            steps: 1,
            parts: 1,
            last_completion: None,
        }
    }
}

impl Pace {
    /// Notes that `count` submissions, the first of them made at `submitted`, were found finished at `now`
    /// by one look at the device. Submissions become longer while they take less than they should, and
    /// shorter while they take more.
    ///
    /// Nobody knows when each of several finished: the host was away meanwhile. Their time together is
    /// then no reason for shorter ones, and one for longer ones only where it is short by itself.
    pub fn finished(&mut self, count: usize, submitted: Instant, now: Instant) {
        let started = (self.last_completion).map_or(submitted, |last| last.max(submitted));
        self.last_completion = Some(now);
        let took = now.saturating_duration_since(started);
        if took > LONG && self.steps == 1 && count == 1 {
            self.parts = (self.parts * 2).min(MOST_PARTS);
        }
        if took < AIM / 2 {
            self.steps = (self.steps * 2).min(MOST_STEPS);
        } else if took > AIM * 2 && count == 1 {
            self.steps = (self.steps / 2).max(1);
        }
    }

    /// What follows is another series; the pause before it belongs to no submission.
    pub fn pause(&mut self) {
        self.last_completion = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pace of 8 steps after one look at `at`, which found `count` submissions of time zero finished.
    fn after(count: usize, at: Duration) -> usize {
        let start = Instant::now();
        let mut pace = Pace {
            steps: 8,
            ..Pace::default()
        };
        pace.finished(count, start, start + at);
        pace.steps
    }

    #[test]
    fn submissions_grow_while_they_are_short_and_shrink_while_they_are_long() {
        assert_eq!(after(1, AIM / 4), 16);
        assert_eq!(after(1, AIM), 8);
        assert_eq!(after(1, AIM * 4), 4);
    }

    #[test]
    fn several_that_one_look_finds_finished_are_not_taken_for_short_or_long_ones() {
        // Each took 25 ms; the second was seen no time after the first.
        assert_eq!(after(2, AIM * 2), 8);
        // The host was away.
        assert_eq!(after(3, AIM * 40), 8);
        // A device this fast is never seen at a single one.
        assert_eq!(after(3, AIM / 4), 16);
    }

    #[test]
    fn only_a_step_that_takes_long_is_cut_up() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.finished(1, start, start + LONG / 2);
        assert_eq!(pace.parts, 1);
        pace.pause();
        pace.finished(1, start, start + LONG * 2);
        assert_eq!(pace.parts, 2);
        let mut pace = Pace {
            steps: 8,
            ..Pace::default()
        };
        pace.finished(1, start, start + LONG * 2);
        assert_eq!((pace.steps, pace.parts), (4, 1));
    }

    #[test]
    fn a_pause_counts_for_no_submission() {
        let start = Instant::now();
        let mut pace = Pace {
            steps: 8,
            ..Pace::default()
        };
        pace.finished(1, start, start + AIM);
        pace.pause();
        let later = start + AIM * 100;
        pace.finished(1, later, later + AIM);
        assert_eq!(pace.steps, 8);
    }
}
