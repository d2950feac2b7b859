//! Ops that are ready to run, prepared once for all networks that have them.
//!
//! Preparing brings weights into the order that a kernel reads, which costs as much as several runs. What a kernel does depends on
//! the op, its constants and the types and layouts of its operands, but neither on what computes the operands nor on ranges beside
//! float types: networks that differ in thresholds far upstream have the same runners.

use std::collections::HashMap;
use std::sync::Arc;
use tpuc_interp::{InterpError, Layout, Options, Runner};
use tpuc_ops::{Elem, Op, TensorType, ValueType};
use tpuc_tensor::{Data, Tensor};

/// All that a runner is made of, but for the name that its errors bear.
pub struct Recipe<'a> {
    pub op: &'a Op,
    pub result: &'a TensorType,
    /// By operand.
    pub types: Vec<ValueType>,
    pub constants: Vec<Option<Arc<Tensor>>>,
    pub layouts: Vec<Layout>,
}

struct Entry {
    op: Op,
    result: TensorType,
    types: Vec<ValueType>,
    constants: Vec<Option<Arc<Tensor>>>,
    layouts: Vec<Layout>,
    runner: Arc<Runner>,
    /// When it was asked for last.
    used: u64,
}

impl Entry {
    fn is_of(&self, recipe: &Recipe, result: &TensorType) -> bool {
        let same = |(a, b): (&Option<Arc<Tensor>>, &Option<Arc<Tensor>>)| match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || same_bits(a, b),
            _ => false,
        };
        let described = self.op == *recipe.op && self.result == *result && self.types == recipe.types && self.layouts == recipe.layouts;
        described && self.constants.len() == recipe.constants.len() && self.constants.iter().zip(&recipe.constants).all(same)
    }
}

/// Prepared ops by name.
pub struct Runners {
    options: Options,
    entries: HashMap<String, Vec<Entry>>,
}

impl Runners {
    pub fn new(options: Options) -> Runners {
        Runners { options, entries: HashMap::new() }
    }

    /// The runner of a recipe. `now` counts up; [`Runners::forget`] compares with it.
    pub fn get(&mut self, name: &str, mut recipe: Recipe, now: u64) -> Result<Arc<Runner>, InterpError> {
        recipe.types.iter_mut().for_each(|ty| {
            if let ValueType::Tensor(ty) = ty {
                *ty = without_range(ty);
            }
        });
        let result = without_range(recipe.result);
        if let Some(found) = self.entries.get_mut(name).and_then(|list| list.iter_mut().find(|e| e.is_of(&recipe, &result))) {
            found.used = now;
            return Ok(Arc::clone(&found.runner));
        }
        let Recipe { op, types, constants, layouts, .. } = recipe;
        let runner = Arc::new(Runner::new(name, op, &types, &result, &constants, &layouts, self.options)?);
        let entry = Entry { op: op.clone(), result, types, constants, layouts, runner: Arc::clone(&runner), used: now };
        self.entries.entry(name.to_owned()).or_default().push(entry);
        Ok(runner)
    }

    /// Drops what was not asked for after `oldest`. What some network still has costs nothing more, and may be asked for again.
    pub fn forget(&mut self, oldest: u64) {
        self.entries.retain(|_, list| {
            list.retain(|e| e.used > oldest || Arc::strong_count(&e.runner) > 1);
            !list.is_empty()
        });
    }
}

/// Elements whose differences are gathered before they are looked at.
const PIECE: usize = 1024;

/// Half floats by their bits, many at a time.
fn same_bits(a: &Tensor, b: &Tensor) -> bool {
    macro_rules! equal {
        ($a:ident, $b:ident) => {
            $a.len() == $b.len() && $a.chunks(PIECE).zip($b.chunks(PIECE)).all(|(a, b)| a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a.to_bits() ^ b.to_bits())) == 0)
        };
    }
    a.shape() == b.shape()
        && match (a.data(), b.data()) {
            (Data::F16(a), Data::F16(b)) => equal!(a, b),
            (Data::BF16(a), Data::BF16(b)) => equal!(a, b),
            (Data::F32(a), Data::F32(b)) => equal!(a, b),
            (a, b) => a == b,
        }
}

fn without_range(ty: &TensorType) -> TensorType {
    match ty.elem {
        Elem::Calibrated { expressed, .. } => TensorType::new(&ty.shape, Elem::Plain(expressed)),
        Elem::Plain(_) | Elem::Uniform { .. } => ty.clone(),
    }
}
