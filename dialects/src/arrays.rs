//! Long integer arrays as attributes, made while something else is computed.
//!
//! MLIR keeps every integer of an array as an attribute of its own, so that a network's multipliers take as long to become attributes as its
//! weights to become integers. Lowering hands arrays over as soon as it knows them; threads that have nothing else to do make the
//! attributes, one thread at a time.

use crate::convert;
use mlir_sys::{MlirAttribute, MlirContext};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use tpuc_ops::{Attr, Op};

/// Arrays that are shorter are made where they are needed.
const LONG: usize = 64;

/// The attributes that were made.
#[derive(Default)]
pub struct Arrays(BTreeMap<Vec<i64>, Attribute>);

/// Attributes live as long as their context.
#[derive(Clone, Copy)]
struct Attribute(MlirAttribute);

// SAFETY: a handle that is only copied; what may be done with it is the business of `convert`.
unsafe impl Send for Attribute {}

impl Arrays {
    /// A plain value as an attribute, at once if it was made.
    pub(crate) fn attribute(&self, context: MlirContext, value: &Attr) -> MlirAttribute {
        match value {
            Attr::I64Array(list) if list.len() >= LONG => self.0.get(list).map_or_else(|| convert::to_attribute(context, value), |known| known.0),
            other => convert::to_attribute(context, other),
        }
    }
}

/// Makes attributes of arrays. Any thread may ask for it.
pub struct Maker {
    context: MlirContext,
    waiting: Mutex<Vec<Vec<i64>>>,
    made: Mutex<Arrays>,
}

// SAFETY: only who holds the lock of `made` uses the context, and `PassModule::make_arrays` sees to it that nobody else does.
unsafe impl Sync for Maker {}
// SAFETY: as above; the context is not bound to a thread.
unsafe impl Send for Maker {}

impl Maker {
    pub(crate) fn new(context: MlirContext) -> Maker {
        Maker { context, waiting: Mutex::default(), made: Mutex::default() }
    }

    /// Notes the long arrays of an op. Whether there are any; then [`Maker::work`] has something to do.
    pub fn note(&self, op: &Op) -> bool {
        let lists = op.to_attrs().into_iter().filter_map(|(_, attr)| match attr {
            Attr::I64Array(list) if list.len() >= LONG => Some(list),
            _ => None,
        });
        let lists: Vec<_> = lists.collect();
        let found = !lists.is_empty();
        self.waiting().extend(lists);
        found
    }

    /// Makes attributes of what was noted, unless another thread is at it.
    pub fn work(&self) {
        let mut made = match self.made.try_lock() {
            Ok(made) => made,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        loop {
            // The lock must not be held while an attribute is made.
            let Some(list) = self.waiting().pop() else { return };
            let value = Attr::I64Array(list);
            let attribute = Attribute(convert::to_attribute(self.context, &value));
            if let Attr::I64Array(list) = value {
                made.0.insert(list, attribute);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Vec<i64>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn finish(self) -> Arrays {
        self.made.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
