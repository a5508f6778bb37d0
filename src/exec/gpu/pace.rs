//! The number of steps per submission, adapted to how long submissions take.

use std::time::{Duration, Instant};

/// Maximum number of steps in a submission.
pub const MAX_STEPS: usize = 64;
/// Target duration of a submission.
const AIM: Duration = Duration::from_millis(25);
/// A longer step is split over several submissions: drivers reset a device after a submission of
/// two seconds or more.
const LONG: Duration = Duration::from_millis(500);
/// Maximum number of submissions in flight.
const MAX_IN_FLIGHT: usize = 3;
/// Maximum number of submissions per step; at most one per dispatch.
const MAX_PARTS: usize = 64;

/// The current pace.
pub struct Pace {
    /// Steps in the next submission.
    pub steps: usize,
    /// Number of submissions for a single step.
    pub parts: usize,
    /// The last poll found several submissions finished, so the next is measured by itself.
    unmeasured: bool,
    last_completion: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            steps: 1,
            parts: 1,
            unmeasured: false,
            last_completion: None,
        }
    }
}

impl Pace {
    /// Maximum number of submissions in flight. On a device so fast that every poll finds several
    /// finished, none would ever be measured; so after such a poll there is one at a time until one
    /// has been.
    pub fn max_in_flight(&self) -> usize {
        if self.unmeasured { 1 } else { MAX_IN_FLIGHT }
    }

    /// Records that one poll at `now` found `count` submissions finished, the first of them made at
    /// `submitted`. Submissions grow while they are shorter than the target, and shrink while they
    /// are longer. If several have finished, the time of each is unknown and nothing changes.
    pub fn finished(&mut self, count: usize, submitted: Instant, now: Instant) {
        let started = (self.last_completion).map_or(submitted, |last| last.max(submitted));
        self.last_completion = Some(now);
        self.unmeasured = count > 1;
        if self.unmeasured {
            return;
        }
        let took = now.saturating_duration_since(started);
        if took > LONG && self.steps == 1 {
            self.parts = (self.parts * 2).min(MAX_PARTS);
        }
        if took < AIM / 2 {
            self.steps = (self.steps * 2).min(MAX_STEPS);
        } else if took > AIM * 2 {
            self.steps = (self.steps / 2).max(1);
        }
    }

    /// Starts another series; the pause before it does not count.
    pub fn pause(&mut self) {
        self.last_completion = None;
        self.unmeasured = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps of a pace of 8 after a poll at `at` that found `count` submissions of time zero
    /// finished.
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
    fn a_poll_that_finds_several_finished_changes_nothing() {
        // Each took 25 ms; one poll found both.
        assert_eq!(after(2, AIM * 2), 8);
        // The host was away.
        assert_eq!(after(3, AIM * 40), 8);
        assert_eq!(after(3, AIM / 4), 8);
    }

    #[test]
    fn submissions_grow_on_a_device_that_finishes_all_before_any_poll() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let mut polls = 0;
        while pace.steps < MAX_STEPS {
            let submitted = now;
            now += AIM / 100;
            pace.finished(pace.max_in_flight(), submitted, now);
            polls += 1;
            assert!(polls < 20, "{} steps", pace.steps);
        }
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
