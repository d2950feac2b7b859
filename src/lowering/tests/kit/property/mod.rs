//! Random networks with random thresholds, lowered to INT8 for a chip of every family and run: each op's result must be what the
//! op's definition gives for the operands that it had. The same in floats, for every type that chips have.

mod floats;
mod network;
mod scalar;
mod tensor;

use network::{Network, Random};
use scalar::Case;
use std::collections::BTreeMap;
use std::sync::Arc;
use tensor::Values;
use tpuc_interp::{Options, Plan};
use tpuc_lowering::{Chip, Mode, Range, Ranges, lower_program, top_optimize};
use tpuc_ops::{Attr, Op, Program, Source, ValueId};
use tpuc_tensor::{Tensor, WeightStore};

const CHIPS: [&Chip; 5] = [&Chip::BM1684X, &Chip::BM1688, &Chip::BM1690, &Chip::BM1684, &Chip::CV183X];

/// Ops that the networks have, between them.
const MADE: &str = "Active Add AddConst Cast Compare Concat Conv2D Deconv Depth2Space LeakyRelu Lut MatMul Max MaxConst Min MinConst Mul MulConst MulShift PReluOp Pad Permute \
     Pool2D Reduce Relu RequantIntAxis Reshape Reverse Scale Slice Softmax Sub SubConst Tile Unsqueeze Upsample Where";

/// Those that have a form with zero points.
const WITH_ZERO_POINTS: &str = "Add Cast Compare Concat Conv2D Deconv Depth2Space Lut MatMul Max MaxConst Min MinConst Mul MulShift Pad Permute Pool2D RequantInt \
     RequantIntAxis Reshape Reverse Slice Softmax SubConst Tile Unsqueeze Upsample Where";

/// Float modes, each on a chip that has it.
const FLOATS: [(&Chip, Mode); 7] = [
    (&Chip::BM1684X, Mode::F32),
    (&Chip::BM1684X, Mode::F16),
    (&Chip::BM1684X, Mode::BF16),
    (&Chip::BM1688, Mode::F16),
    (&Chip::BM1690, Mode::BF16),
    (&Chip::BM1684, Mode::F32),
    (&Chip::CV183X, Mode::BF16),
];

/// Ops that networks in floats have, between them.
const MADE_IN_FLOATS: &str = "Active Add AddConst Cast Compare Concat Conv2D Depth2Space LeakyRelu MatMul Max MaxConst Min MinConst Mul MulConst PReluOp Pad Permute \
     Pool2D Reduce Relu Reshape Reverse Slice Softmax Sub SubConst Tile Unsqueeze Upsample Where";

/// `TPUC_RANDOM_NETWORKS` asks for another number of networks.
#[test]
fn every_integer_op_computes_what_its_definition_says() {
    let count = std::env::var("TPUC_RANDOM_NETWORKS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    let mut checked: BTreeMap<&'static str, BTreeMap<&'static str, usize>> = BTreeMap::new();
    let mut failures = Vec::new();
    for seed in 0..count {
        for chip in CHIPS {
            for asymmetric in [false, true] {
                if asymmetric && !chip.has_zero_points() {
                    continue;
                }
                let mut random = Random(seed);
                let net = Network::random(&mut random);
                match lowered(&net, chip, asymmetric, &mut random).and_then(|(program, weights)| check(&net, &program, &weights, chip)) {
                    Ok(ops) => ops.into_iter().for_each(|op| *checked.entry(op).or_default().entry(if asymmetric { "with zero points" } else { chip.name }).or_default() += 1),
                    Err(e) => failures.push(format!("seed {seed}, {}{}: {e}", chip.name, if asymmetric { " with zero points" } else { "" })),
                }
            }
        }
    }
    checked.iter().for_each(|(op, chips)| println!("{op}: {chips:?}"));
    assert!(failures.is_empty(), "{} networks:\n{}", failures.len(), failures.join("\n"));
    for op in WITH_ZERO_POINTS.split_whitespace() {
        assert!(checked.get(format!("tpu.{op}").as_str()).is_some_and(|chips| chips.contains_key("with zero points")), "no {op} with zero points was made");
    }
    // What the generator makes must have arrived as integers.
    for op in MADE.split_whitespace() {
        assert!(checked.contains_key(format!("tpu.{op}").as_str()), "no {op} was made");
    }
}

/// What has been compared of an op: its elements, and those that are the next number of their type.
#[derive(Default)]
struct Compared {
    elements: usize,
    neighbours: usize,
}

#[test]
fn every_float_op_computes_what_its_definition_says() {
    let count = std::env::var("TPUC_RANDOM_NETWORKS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    let mut all: BTreeMap<(&'static str, &'static str), Compared> = BTreeMap::new();
    let mut failures = Vec::new();
    for seed in 0..count {
        for (chip, mode) in FLOATS {
            let net = Network::random(&mut Random(seed));
            let lowered = top_optimize(&net.program, &net.weights, chip).and_then(|(program, weights)| lower_program(&program, &weights, chip, mode));
            let checked = lowered.map_err(|e| e.to_string()).and_then(|(program, weights)| check_floats(&net, &program, &weights, chip, &mut all));
            if let Err(e) = checked {
                failures.push(format!("seed {seed}, {} {}: {e}", chip.name, mode.name()));
            }
        }
    }
    all.iter().for_each(|((op, dtype), c)| println!("{op} {dtype}: {} elements, {} neighbours", c.elements, c.neighbours));
    assert!(failures.is_empty(), "{} networks:\n{}", failures.len(), failures.join("\n"));
    // docs/numerics.md: at most one element of 1000 is one unit of the last place off.
    for ((op, dtype), c) in &all {
        assert!(c.neighbours * 1000 <= c.elements, "{op} in {dtype}: {} of {} elements are one unit off", c.neighbours, c.elements);
    }
    for op in MADE_IN_FLOATS.split_whitespace() {
        assert!(all.keys().any(|(made, _)| made.trim_start_matches("tpu.") == op), "no {op} was made");
    }
}

/// Compares the results of ops in floats. An element may be one unit of the last place off, which is counted; more is an error.
fn check_floats(net: &Network, program: &Program, weights: &WeightStore, chip: &Chip, all: &mut BTreeMap<(&'static str, &'static str), Compared>) -> Result<(), String> {
    let found = run(program.clone(), weights, &net.inputs)?;
    for (index, node) in program.nodes.iter().enumerate() {
        let operands: Vec<Option<Values>> = node.operands.iter().map(|&id| values(net, program, weights, &found, id)).collect();
        let types = node.operands.iter().map(|&id| program.tensor_type(id).cloned()).collect();
        let result = program.tensor_type(node.results[0]).expect("a tensor");
        let dtype = result.elem.storage();
        let case = Case { op: &node.op, operands: &operands, types, result, family: chip.family };
        if matches!(node.op, Op::TopInput(_)) {
            continue;
        }
        let own = values(net, program, weights, &found, node.results[0]).expect("a tensor");
        let bounds: Vec<(f64, f64)> = match &node.op {
            Op::TpuCast(_) => case.result().expect("a cast").data.into_iter().map(|v| (v, v)).collect(),
            _ => match case.reals() {
                Some(reals) => reals.into_iter().map(|r| r.bounds(dtype)).collect(),
                None => continue,
            },
        };
        let compared = all.entry((node.op.name(), dtype.name())).or_default();
        compared.elements += bounds.len();
        for (at, (&v, (low, high))) in own.data.iter().zip(bounds).enumerate() {
            let (lower, upper) = (-floats::above(-low, dtype), floats::above(high, dtype));
            if !(lower..=upper).contains(&v) {
                return Err(format!("layer '{}', {:?}: element {at} is {v}, by definition {low} to {high}", program.node_name(index), node.op));
            }
            compared.neighbours += usize::from(!(low..=high).contains(&v));
        }
    }
    Ok(())
}

/// Every tensor as it is held, by name.
fn run(program: Program, weights: &WeightStore, inputs: &[Tensor]) -> Result<BTreeMap<String, Tensor>, String> {
    let plan = Arc::new(Plan::new(program.clone(), weights, Options::default()).map_err(|e| e.to_string())?);
    let mut tensors = BTreeMap::new();
    let mut keep = |id: ValueId, view: tpuc_interp::TensorView<'_>| {
        tensors.insert(program.value(id).name.clone(), view.to_tensor().expect("a tensor"));
        true
    };
    plan.executor().map_err(|e| e.to_string())?.run(&inputs.iter().collect::<Vec<_>>(), &mut keep).map_err(|e| e.to_string())?;
    Ok(tensors)
}

/// The network on a chip, with thresholds between a quarter and the double of what its values reach. With zero points each side of
/// zero has a threshold of its own.
fn lowered(net: &Network, chip: &Chip, asymmetric: bool, random: &mut Random) -> Result<(Program, WeightStore), String> {
    let floats = run(net.program.clone(), &net.weights, &net.inputs)?;
    let mut ranges = Ranges::from_types(&net.program);
    for node in &net.program.nodes {
        let id = node.results[0];
        let values = floats[&net.program.value(id).name].to_f32();
        let reach = values.iter().fold(0f32, |m, v| m.max(v.abs())).max(1e-3);
        let threshold = f64::from(reach) * f64::from(random.float(0.25, 2.0));
        let signed = values.iter().any(|&v| v < 0.0);
        let below = if asymmetric { threshold * f64::from(random.float(0.05, 1.5)) } else { threshold };
        ranges.set(id, Range::new(if signed { -below } else { 0.0 }, threshold));
    }
    let mut top = net.program.clone();
    top.attrs.insert("module.asymmetric".into(), Attr::Bool(asymmetric));
    ranges.propagate(&top, chip);
    let (program, weights) = top_optimize(&ranges.annotate(&top), &net.weights, chip).map_err(|e| e.to_string())?;
    lower_program(&program, &weights, chip, Mode::Int8).map_err(|e| e.to_string())
}

/// A value as the run had it; `None` where it is absent.
fn values(net: &Network, program: &Program, weights: &WeightStore, found: &BTreeMap<String, Tensor>, id: ValueId) -> Option<Values> {
    let value = program.value(id);
    let ty = value.ty.tensor()?;
    match value.source {
        Source::None => None,
        Source::Weight => Some(Values::new(weights.get(&value.name)?, &ty.dims())),
        Source::Argument(at) => Some(Values::new(&net.inputs[at], &ty.dims())),
        Source::Op { .. } => Some(Values::new(&found[&value.name], &ty.dims())),
    }
}

/// The ops that were checked.
fn check(net: &Network, program: &Program, weights: &WeightStore, chip: &Chip) -> Result<Vec<&'static str>, String> {
    let found = run(program.clone(), weights, &net.inputs)?;
    let value = |id: ValueId| values(net, program, weights, &found, id);
    let mut checked = Vec::new();
    for (index, node) in program.nodes.iter().enumerate() {
        let operands: Vec<Option<Values>> = node.operands.iter().map(|&id| value(id)).collect();
        let types = node.operands.iter().map(|&id| program.tensor_type(id).cloned()).collect();
        let result = program.tensor_type(node.results[0]).expect("a tensor");
        let case = Case { op: &node.op, operands: &operands, types, result, family: chip.family };
        if matches!(node.op, Op::TopInput(_)) {
            continue;
        }
        let Some(wanted) = case.result() else { continue };
        let own = value(node.results[0]).expect("a tensor");
        if let Some(at) = (0..own.data.len()).find(|&i| own.data[i] != wanted.data[i]) {
            return Err(format!("layer '{}', {:?}: element {at} is {}, by definition {}", program.node_name(index), node.op, own.data[at], wanted.data[at]));
        }
        checked.push(node.op.name());
    }
    Ok(checked)
}
