//! How far a long command is: a bar on a terminal, plain lines elsewhere, nothing when quiet.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Instant;

/// Shows what the passes tell until it is dropped.
pub struct Shown(Option<ProgressBar>);

/// Steps of a bar; the passes tell fractions.
const STEPS: u64 = 1000;

impl Shown {
    pub fn start(quiet: bool) -> Shown {
        if quiet {
            return Shown(None);
        }
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(STEPS);
            if let Ok(style) = ProgressStyle::with_template("{msg:<12} [{bar:40}] {percent:>3}% {elapsed}, {eta} left") {
                bar.set_style(style.progress_chars("##."));
            }
            let listener = bar.clone();
            tpuc_passes::set_progress(Some(Box::new(move |fraction, what| {
                listener.set_message(what.to_owned());
                listener.set_position((fraction.clamp(0.0, 1.0) * STEPS as f64) as u64);
            })));
            return Shown(Some(bar));
        }
        // A line for each tenth.
        let (last, start) = (Mutex::new(0u64), Instant::now());
        tpuc_passes::set_progress(Some(Box::new(move |fraction, what| {
            let tenth = (fraction.clamp(0.0, 1.0) * 10.0) as u64;
            if let Ok(mut last) = last.lock()
                && tenth > *last
            {
                *last = tenth;
                let left = start.elapsed().as_secs_f64() * (1.0 - fraction) / fraction;
                println!("{what}: {}%{}", tenth * 10, if fraction < 1.0 { format!(", about {left:.0} s left") } else { String::new() });
            }
        })));
        Shown(None)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        tpuc_passes::set_progress(None);
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
