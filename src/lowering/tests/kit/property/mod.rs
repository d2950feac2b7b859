//! Random networks with random thresholds, lowered for every chip in every mode that it has and run: each op's result must be what the
//! op's definition gives for the operands that it had, integers exactly.

mod floats;
mod functions;
mod more;
mod network;
mod scalar;
mod tables;
mod tensor;
mod windows;

use network::{KINDS, Network, Random, Wish};
use scalar::{Case, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tensor::Values;
use tpuc_interp::{Options, Plan};
use tpuc_lowering::{Ahead, Chip, LowerError, Mode, Range, Ranges, lower_program, lower_watched, top_optimize};
use tpuc_ops::{Attr, Family, Op, Program, Source, ValueId};
use tpuc_tensor::{Tensor, WeightStore};

/// Top ops that no network has, and why.
const NOT_MADE: [(&str, &str); 5] = [
    ("Attention", "top_optimize makes it of many ops on one chip: kit/attention.rs"),
    ("None", "no computation"),
    ("Preprocess", "fuse_preprocess makes it of an input: kit/preprocess.rs"),
    ("Split", "top-split-to-slice turns it into Slices before"),
    ("Weight", "no computation"),
];

/// Those that a family does not lower.
const NOT_LOWERED: [(&str, Family, &str); 1] = [("BatchNorm", Family::Bm1684, "is a Scale before")];

/// Tpu ops that the networks must have, between them, as integers.
const AS_INTEGERS: &str = "Active Add AddConst Cast Compare CompareConst Concat Conv2D Deconv Depth2Space LeakyRelu Lut MatMul Max MaxConst Min MinConst Mul MulConst MulShift PReluOp Pad \
     Permute Pool1D Pool2D Reduce Relu RequantIntAxis Reshape Reverse Scale Slice Softmax Squeeze Sub SubConst Tile Unsqueeze Upsample Where";

/// With zero points.
const WITH_ZERO_POINTS: &str = "Add Cast Compare CompareConst Concat Conv2D Deconv Depth2Space Lut MatMul Max MaxConst Min MinConst Mul MulShift Pad Permute Pool1D Pool2D RequantInt \
     RequantIntAxis Reshape Reverse Slice Softmax Squeeze SubConst Tile Unsqueeze Upsample Where";

/// In floats.
const AS_FLOATS: &str = "A16MatMul Active Add AddConst Arg Cast Clip Compare CompareConst Concat Conv2D Deconv Depth2Space Div Gather GroupNorm InstanceNorm Interp LayerNorm LeakyRelu \
     LutBF16 MatMul Max MaxConst Min MinConst Mul MulConst PReluOp Pad Permute Pool1D Pool2D Reciprocal Reduce Relu Reshape Reverse Scale Slice Softmax Squeeze Sub SubConst Tile Unsqueeze \
     Upsample Where";

/// Beyond, powers of powers leave what floats hold.
const LARGEST: f32 = 200.0;

/// A chip, and how a network computes on it.
#[derive(Debug, Clone, Copy)]
struct Way {
    chip: &'static Chip,
    mode: Mode,
    asymmetric: bool,
}

/// Ways whose rules are the same or nearly so. Every seed goes one way of each group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Integers,
    ZeroPoints,
    Floats,
    FewBits,
}

impl Way {
    fn all() -> impl Iterator<Item = Way> {
        let modes = |chip: &'static Chip| chip.modes.iter().flat_map(move |&mode| [false, true].map(|asymmetric| Way { chip, mode, asymmetric }));
        Chip::ALL.iter().flat_map(modes).filter(|w| !w.asymmetric || w.mode == Mode::Int8 && w.chip.has_zero_points())
    }

    fn group(&self) -> (String, Group) {
        let group = match self.mode {
            Mode::Int8 if self.asymmetric => Group::ZeroPoints,
            Mode::Int8 => Group::Integers,
            mode if mode.weight_bits().is_some() => Group::FewBits,
            _ => Group::Floats,
        };
        (format!("{:?}", self.chip.family), group)
    }

    fn name(&self) -> String {
        format!("{} {}{}", self.chip.name, self.mode, if self.asymmetric { " with zero points" } else { "" })
    }
}

/// What has been seen of a group of ways.
#[derive(Default)]
struct Seen {
    /// Top ops of networks whose every op was checked.
    top: BTreeSet<&'static str>,
    /// Checked elements by Tpu op and element type.
    tpu: BTreeMap<(&'static str, &'static str), usize>,
}

/// `TPUC_RANDOM_NETWORKS` asks for another number of seeds, each of which is a network a group of ways.
fn seeds() -> u64 {
    std::env::var("TPUC_RANDOM_NETWORKS").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

fn check_groups(wanted: &[Group]) -> BTreeMap<(String, Group), Seen> {
    let mut groups: BTreeMap<(String, Group), Vec<Way>> = BTreeMap::new();
    Way::all().filter(|w| wanted.contains(&w.group().1)).for_each(|w| groups.entry(w.group()).or_default().push(w));
    let (mut all, mut failures) = (BTreeMap::new(), Vec::new());
    for (number, (group, ways)) in groups.into_iter().enumerate() {
        let seen: &mut Seen = all.entry(group).or_default();
        for seed in 0..seeds() {
            let way = ways[seed as usize % ways.len()];
            if let Err(e) = check_network(seed, seed.wrapping_mul(1009) + number as u64, way, seen) {
                failures.push(format!("seed {seed}, {}: {e}", way.name()));
            }
        }
    }
    for (group, seen) in &all {
        println!("{group:?}: {:?}", seen.tpu);
    }
    assert!(failures.is_empty(), "{} networks:\n{}", failures.len(), failures.join("\n"));
    for ((family, group), seen) in &all {
        let made = |op: &str| seen.top.contains(op) || NOT_MADE.iter().any(|n| n.0 == op) || NOT_LOWERED.iter().any(|n| n.0 == op && format!("{:?}", n.1) == *family);
        let missing: Vec<&str> = Op::NAMES.iter().filter_map(|n| n.strip_prefix("top.")).filter(|op| !made(op)).collect();
        assert!(missing.is_empty(), "no network of {family} {group:?} has {}", missing.join(", "));
    }
    all
}

/// That the ops of a list arrived in a form.
fn assert_seen(list: &str, all: &BTreeMap<(String, Group), Seen>, groups: &[Group], form: impl Fn(&str) -> bool) {
    let seen = |op: &str| all.iter().filter(|(g, _)| groups.contains(&g.1)).any(|(_, s)| s.tpu.keys().any(|(name, dtype)| name.strip_prefix("tpu.") == Some(op) && form(dtype)));
    let missing: Vec<&str> = list.split_whitespace().filter(|op| !seen(op)).collect();
    assert!(missing.is_empty(), "not made: {}", missing.join(", "));
}

fn is_integer(dtype: &str) -> bool {
    ["si8", "ui8", "si32"].contains(&dtype)
}

#[test]
fn every_op_of_an_integer_network_computes_what_its_definition_says() {
    let all = check_groups(&[Group::Integers, Group::ZeroPoints]);
    assert_seen(AS_INTEGERS, &all, &[Group::Integers], is_integer);
    assert_seen(WITH_ZERO_POINTS, &all, &[Group::ZeroPoints], is_integer);
}

#[test]
fn every_op_of_a_float_network_computes_what_its_definition_says() {
    let all = check_groups(&[Group::Floats, Group::FewBits]);
    assert_seen(AS_FLOATS, &all, &[Group::Floats, Group::FewBits], |dtype| !is_integer(dtype));
}

fn check_network(seed: u64, start: u64, way: Way, seen: &mut Seen) -> Result<(), String> {
    let kinds = [0, 1, 2, 3].map(|i| (seed as usize * 4 + i) % KINDS);
    let mut wish = Wish { family: way.chip.family, kinds, ops: usize::MAX };
    let (mut net, lengths) = Network::random(&mut Random(start), &wish);
    let mut floats = run(net.program.clone(), &net.weights, &net.inputs)?;
    let fits = |tensor: &Tensor| tensor.to_f32().iter().all(|v| v.abs() <= LARGEST);
    if let Some(large) = net.program.nodes.iter().position(|n| !fits(&floats[&net.program.value(n.results[0]).name])) {
        // The same network up to there.
        wish.ops = lengths.iter().filter(|&&nodes| nodes <= large).count();
        net = Network::random(&mut Random(start), &wish).0;
        floats = run(net.program.clone(), &net.weights, &net.inputs)?;
    }
    let (program, weights) = lowered(&net, &floats, way, &mut Random(start + 1))?;
    let found = check(&net, &program, &weights, way, seen)?;
    if way.mode == Mode::F32 {
        check_whole(&net, &floats, &found)?;
    }
    seen.top.extend(net.program.nodes.iter().filter_map(|n| n.op.name().strip_prefix("top.")));
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

/// The network on a chip, in INT8 with thresholds between a quarter and the double of what its values reach. With zero points each side
/// of zero has a threshold of its own.
fn lowered(net: &Network, floats: &BTreeMap<String, Tensor>, way: Way, random: &mut Random) -> Result<(Program, WeightStore), String> {
    let mut top = net.program.clone();
    top.attrs.insert("module.asymmetric".into(), Attr::Bool(way.asymmetric));
    top.attrs.insert("module.q_group_size".into(), Attr::I64(random.next(2, 4)));
    top.attrs.insert("module.q_symmetric".into(), Attr::Bool(random.flag()));
    if way.mode == Mode::Int8 {
        let mut ranges = Ranges::from_types(&top);
        for node in &top.nodes {
            let id = node.results[0];
            let values = floats[&top.value(id).name].to_f32();
            let reach = values.iter().fold(0f32, |m, v| m.max(v.abs())).max(1e-3);
            let threshold = f64::from(reach) * f64::from(random.float(0.25, 2.0));
            let signed = values.iter().any(|&v| v < 0.0);
            let below = if way.asymmetric { threshold * f64::from(random.float(0.05, 1.5)) } else { threshold };
            ranges.set(id, Range::new(if signed { -below } else { 0.0 }, threshold));
        }
        ranges.propagate(&top, way.chip);
        top = ranges.annotate(&top);
    }
    let (program, weights) = top_optimize(&top, &net.weights, way.chip).map_err(|e| e.to_string())?;
    let alone = lower_program(&program, &weights, way.chip, way.mode);
    if net.weights.len() % 4 == 0 {
        let helped = with_helpers(&program, &weights, way);
        let same = |a: &(Program, WeightStore), b: &(Program, WeightStore)| a.0 == b.0 && a.1.iter().eq(b.1.iter());
        assert!(matches!((&alone, &helped), (Ok(a), Ok(b)) if same(a, b)) || alone.as_ref().err() == helped.as_ref().err(), "helpers change what becomes of it");
    }
    alone.map_err(|e| e.to_string())
}

/// As `lower_program`, with two threads that work ahead.
fn with_helpers(program: &Program, weights: &WeightStore, way: Way) -> Result<(Program, WeightStore), LowerError> {
    let of_node = |_| way.mode;
    let ahead = Ahead::new(program, weights, way.chip, &of_node);
    std::thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(|| ahead.work(|| ()))));
        lower_watched(program, weights, way.chip, way.mode, of_node, Some(&ahead), |_| ())
    })
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

/// Ops whose results jump where their operands move a little.
const JUMPS: [&str; 10] = ["Arg", "Ceil", "Compare", "CompareConst", "Floor", "Gather", "Interp", "Round", "Sign", "Where"];

/// That a network lowered to f32 computes what it was: ops became the right ones.
fn check_whole(net: &Network, top: &BTreeMap<String, Tensor>, lowered: &BTreeMap<String, Tensor>) -> Result<(), String> {
    for node in &net.program.nodes {
        if JUMPS.iter().any(|op| node.op.name().strip_prefix("top.") == Some(op)) {
            return Ok(());
        }
        let name = &net.program.value(node.results[0]).name;
        let Some(lowered) = lowered.get(name) else { continue };
        let (wanted, found) = (top[name].to_f32(), lowered.to_f32());
        let reach = wanted.iter().fold(1f32, |m, v| m.max(v.abs()));
        if let Some(at) = (0..wanted.len()).find(|&i| (wanted[i] - found[i]).abs() > 1e-3 * reach) {
            return Err(format!("layer '{name}': element {at} is {} in f32, {} before it was lowered", found[at], wanted[at]));
        }
    }
    Ok(())
}

/// Compares the result of every op; all results.
fn check(net: &Network, program: &Program, weights: &WeightStore, way: Way, seen: &mut Seen) -> Result<BTreeMap<String, Tensor>, String> {
    let found = run(program.clone(), weights, &net.inputs)?;
    let value = |id: ValueId| values(net, program, weights, &found, id);
    for (index, node) in program.nodes.iter().enumerate() {
        let operands: Vec<Option<Values>> = node.operands.iter().map(|&id| value(id)).collect();
        let types = node.operands.iter().map(|&id| program.tensor_type(id).cloned()).collect();
        let result = program.tensor_type(node.results[0]).expect("a tensor");
        let case = Case { op: &node.op, operands: &operands, types, result, family: way.chip.family };
        let layer = || format!("layer '{}', {:?}", program.node_name(index), node.op);
        let own = value(node.results[0]).expect("a tensor").data;
        let dtype = result.elem.storage();
        let admits: Vec<(bool, f64)> = match case.wanted().ok_or_else(|| format!("{} has no definition here", layer()))? {
            Wanted::Exact(wanted) => own.iter().zip(wanted.data).map(|(v, w)| (*v == w || v.is_nan() && w.is_nan(), w)).collect(),
            Wanted::Near(reals, to) => own.iter().zip(reals).map(|(&v, r)| (r.admits(v, to), r.value)).collect(),
        };
        if let Some(at) = (0..own.len()).find(|&i| admits.get(i).is_none_or(|a| !a.0)) {
            let by_definition = admits.get(at).map(|a| a.1);
            return Err(format!("{}: element {at} of {} is {}, by definition {by_definition:?}", layer(), dtype.name(), own[at]));
        }
        *seen.tpu.entry((node.op.name(), dtype.name())).or_default() += own.len();
    }
    Ok(found)
}
