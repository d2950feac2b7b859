//! How far a long pass is. The command-line programs set a listener that draws a bar; passes only tell.

use std::sync::{LazyLock, RwLock};

type Listener = Box<dyn Fn(f64, &str) + Send + Sync>;

static LISTENER: LazyLock<RwLock<Option<Listener>>> = LazyLock::new(RwLock::default);

/// Who hears of progress (fraction done, what is done now) from now on.
pub fn set_progress(listener: Option<Listener>) {
    if let Ok(mut current) = LISTENER.write() {
        *current = listener;
    }
}

/// Tells the listener, if there is one.
pub fn tell(fraction: f64, what: &str) {
    if let Ok(listener) = LISTENER.read() {
        if let Some(listener) = listener.as_ref() {
            listener(fraction, what);
        }
    }
}
