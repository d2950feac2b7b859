//! Every op with attributes and operands that make no sense: refused by shape inference, verifier or preparation, or run. Never a
//! panic.

use crate::{Options, PreparedNode};
use std::sync::Arc;
use tpuc_ops::{Attr, AttrKind, Op, TensorType, ValueType};
use tpuc_tensor::Tensor;

/// Numbers, and whether most of them are 1 for now: ops with many lists would never run else.
struct Random(u64, bool);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % most
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn integer(&mut self) -> i64 {
        if self.1 && self.below(16) > 0 {
            return 1;
        }
        if self.below(12) > 0 { self.pick(&[1, 1, 1, 2, 3, 0, -1, 4]) } else { self.pick(&[i64::MAX, i64::MIN, 1 << 40, -(1 << 33), 1 << 16, 100, 1 << 62]) }
    }

    fn float(&mut self) -> f64 {
        self.pick(&[0.0, 1.0, -1.0, 0.5, 2.0, 1e-5, f64::NAN, f64::INFINITY, 1e300, -1e30])
    }

    fn attribute(&mut self, name: &str, kind: AttrKind, usual: usize) -> Attr {
        const TEXTS: [&str; 14] = [
            "constant", "reflect", "edge", "linear", "nearest", "half_pixel", "align_corners", "asymmetric", "ReduceMean", "ReduceL2", "ArgMax", "Less", "NONE", "nonsense",
        ];
        // Mostly lists that go together.
        let usual = if name.starts_with("pad") { 2 * usual } else { usual };
        let length = if self.below(8) > 0 { usual } else { self.below(6) };
        match kind {
            AttrKind::Bool => Attr::Bool(self.below(4) == 0),
            AttrKind::I64 => Attr::I64(self.integer()),
            AttrKind::Ui32 => Attr::Ui32(if self.below(8) > 0 { self.below(6) as u32 } else { u32::MAX }),
            AttrKind::Si32 => Attr::Si32(if self.below(8) > 0 { self.below(5) as i32 - 1 } else { self.pick(&[i32::MIN, i32::MAX]) }),
            AttrKind::F64 => Attr::F64(self.float()),
            AttrKind::Str if name == "quantize_mode" => Attr::Str("INT8".into()),
            AttrKind::Str if self.below(2) == 0 && name == "coord_mode" => Attr::Str(self.pick(&tpuc_ops::resize::COORD_MODES).into()),
            AttrKind::Str => Attr::Str(self.pick(&TEXTS).into()),
            AttrKind::I64Array => Attr::I64Array((0..length).map(|_| self.integer()).collect()),
            AttrKind::F64Array => Attr::F64Array((0..length).map(|_| self.float()).collect()),
            AttrKind::Enum { dialect, mnemonic, cases } => Attr::Enum { dialect, mnemonic, case: self.pick(cases).into() },
        }
    }
}

const SHAPES: [&[i64]; 12] = [&[1], &[4], &[2, 3], &[4, 4], &[1, 4, 6], &[1, 4, 6, 5], &[4, 4, 1, 1], &[1, 4, 1, 1], &[2, 1, 3, 4], &[1, 4, 3, 3, 3], &[1; 7], &[]];

fn try_one(random: &mut Random, name: &str) -> bool {
    let Some(spec) = Op::spec_of(name) else { return false };
    let usual = random.pick(&[1, 2, 2, 3, 4, 4]);
    let chosen: Vec<_> = spec.attributes.iter().filter(|a| a.required || random.below(3) == 0).copied().collect();
    let attributes: Vec<(String, Attr)> = chosen.iter().map(|a| (a.name.to_owned(), random.attribute(a.name, a.kind, usual))).collect();
    let lonely = random.below(2) == 0;
    let Ok(op) = Op::from_attrs(name, &attributes) else { return false };
    let (mut operands, mut constants) = (Vec::new(), Vec::new());
    let count = spec.operands.len() + if spec.operands.iter().any(|o| o.variadic) { random.below(3) } else { 0 };
    for index in 0..count {
        if index > 0 && (lonely || random.below(3) == 0) {
            operands.push(ValueType::None);
            constants.push(None);
            continue;
        }
        let shape = random.pick(&SHAPES);
        let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        let data = Tensor::f32(&dims, (0..dims.iter().product()).map(|i| (i % 3) as f32).collect()).ok();
        operands.push(TensorType::f32(shape).into());
        constants.push(data.filter(|_| index > 0 && random.below(2) == 0).map(Arc::new));
    }
    let Ok(shapes) = op.infer_shapes(&operands) else { return false };
    if shapes.len() != 1 || shapes[0].iter().product::<i64>() > 1 << 16 {
        return false;
    }
    let results = [ValueType::from(TensorType::f32(&shapes[0]))];
    if op.verify(&operands, &results).is_err() {
        return false;
    }
    op.flops(&operands, &results);
    let Ok(node) = PreparedNode::new("layer", &op, &operands, &results, &constants, Options::default()) else { return false };
    let given: Vec<Option<Tensor>> = operands.iter().map(|ty| ty.tensor().and_then(|t| Tensor::f32(&t.dims(), vec![0.5; t.count() as usize]).ok())).collect();
    let mut computed = Vec::new();
    node.run(&given.iter().map(Option::as_ref).collect::<Vec<_>>(), &mut computed).is_ok()
}

/// Of these some must get as far as running.
const MUST_RUN: [&str; 9] = ["top.Permute", "top.Slice", "top.Reduce", "top.Interp", "top.Concat", "top.Tile", "top.Unsqueeze", "top.LayerNorm", "top.Relu"];

#[test]
fn hostile_ops_are_refused_or_run() {
    let mut random = Random(17, false);
    let mut ran = std::collections::BTreeSet::new();
    for round in 0..1_500 * Op::NAMES.len() {
        random.1 = random.below(2) == 0;
        let name = if round % 4 == 0 { MUST_RUN[round / 4 % MUST_RUN.len()] } else { Op::NAMES[round % Op::NAMES.len()] };
        if try_one(&mut random, name) {
            ran.insert(name);
        }
    }
    // The test would be empty if everything were refused.
    for name in MUST_RUN {
        assert!(ran.contains(name), "{name} never ran; those that did: {ran:?}");
    }
}
