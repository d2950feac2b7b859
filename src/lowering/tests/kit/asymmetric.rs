//! The kit's networks with zero points, against what the reference 1.30.2 makes of them (`--asymmetric`): the kit has no files of that, so
//! figures stand for them.

use crate::{module, shared};
use std::sync::Arc;
use tpuc_interp::{Options, Plan};
use tpuc_lowering::{CalibrationTable, Chip, LowerError, Mode, Ranges, lower_program, top_optimize};
use tpuc_ops::{Attr, Op, Program};
use tpuc_tensor::{DType, Data, Tensor, WeightStore};

/// Name, 8-bit results of ops other than casts and the sum of their integers, integer weights and the sum of theirs. In a sum an element
/// counts as often as [`sum`] says. Layers that are named are left out: the reference is wrong there (`docs/numerics.md`), or behind such
/// a layer.
type Figures = (&'static str, usize, i64, usize, i64, &'static [&'static str]);

const REFERENCE: &[Figures] = &[
    ("cnn_res", 17, 140986252, 18, 104551, &[]),
    ("mbv2_tiny", 27, 959992562, 44, 966450, &[]),
    ("yolo_head", 32, -181785181, 22, -20923136, &[]),
    ("transformer", 7, -47730178, 63, -17214682, &["b1_res1_Add", "b1_up_a_Add", "b1_gelu_GELU", "b1_dn_a_Add", "b1_res2_Add", "cls_Gemm"]),
    ("pools", 10, 49238958, 4, 411624, &[]),
    ("mlp_mm", 6, 2181028, 10, -1441303, &[]),
    ("consts", 15, -822494, 12, 118514, &["maxc_Max", "minc_Min"]),
    ("shape_mix", 12, 113295099, 5, 198789, &[]),
    ("shape_lite", 10, -26255292, 6, 326830, &[]),
    ("acts", 13, 17920746, 11, 5492348, &["a_abs_Abs"]),
    ("acts_more", 6, 20209012, 7, -4460460, &["ab2_Abs", "a_sqrt_Sqrt", "a_pow_Pow", "a_log_Log", "a_rcp_Reciprocal"]),
    ("maxmin", 3, 5051526, 6, 563071, &["maxu_Max", "minu_Min", "maxs_Max", "mins_Min"]),
];

/// Each element times one more than the rest of its position by 251.
fn sum(tensor: &Tensor) -> i64 {
    let list = tensor.to_i64().expect("integers");
    list.iter().zip(0..).map(|(v, i)| v * (i % 251 + 1)).sum()
}

/// A Top program of the kit with ranges from its table, for integers with zero points.
fn calibrated(name: &str, chip: &Chip) -> Option<Program> {
    let mut top = module(&format!("kit/{name}/{name}.mlir"))?.program();
    top.attrs.insert("module.asymmetric".into(), Attr::Bool(true));
    let table = CalibrationTable::read(&shared(&format!("kit/{name}/{name}_cali_kl"))?).unwrap();
    let mut ranges = Ranges::from_table(&top, &table, chip).unwrap();
    ranges.propagate(&top, chip);
    Some(ranges.annotate(&top))
}

#[test]
fn networks_with_zero_points_compute_what_the_reference_computes() {
    for &(name, tensors, integers, weights, parameters, but) in REFERENCE {
        let load = |suffix: &str| shared(&format!("kit/{name}/{name}{suffix}")).map(|f| WeightStore::load(&f).unwrap());
        let (Some(top), Some(float), Some(inputs)) = (calibrated(name, &Chip::BM1684X), load("_top_f32_all_weight.npz"), load("_in_f32.npz")) else { return };
        let (top, float) = top_optimize(&top, &float, &Chip::BM1684X).unwrap();
        let (program, lowered) = lower_program(&top, &float, &Chip::BM1684X, Mode::Int8).unwrap();
        assert_eq!(program.attrs.get("module.asymmetric"), Some(&Attr::Bool(true)));
        let compared = |name: &str| !but.iter().any(|b| name.starts_with(b) || name.ends_with(&format!("_to_{b}")));

        let is_integer = |t: &Tensor| matches!(t.data(), Data::I8(_) | Data::U8(_) | Data::I32(_));
        let own: Vec<i64> = lowered.iter().filter(|(n, t)| compared(n) && is_integer(t)).map(|(_, t)| sum(t)).collect();
        assert_eq!((own.len(), own.iter().sum::<i64>()), (weights, parameters), "{name}: weights");

        let plan = Arc::new(Plan::new(program.clone(), &lowered, Options::default()).unwrap());
        let inputs = plan.inputs_named(|name| inputs.get(name).map(|t| &**t)).unwrap();
        let mut found = Vec::new();
        plan.executor().unwrap().run(&inputs, &mut |id, view: tpuc_interp::TensorView<'_>| {
            let producer = program.producer(id).map(|n| &program.nodes[n].op);
            let is_8_bit = program.tensor_type(id).is_some_and(|t| t.elem.scale().is_some() && matches!(t.elem.storage(), DType::I8 | DType::U8));
            if is_8_bit && !matches!(producer, Some(Op::TpuCast(_))) && compared(&program.value(id).name) {
                found.push(sum(&view.to_tensor().unwrap()));
            }
            true
        }).unwrap();
        assert_eq!((found.len(), found.iter().sum::<i64>()), (tensors, integers), "{name}: tensors");
        println!("{name}: {tensors} tensors, {weights} weights");
    }
}

/// A limit is a number, whatever integer stands for zero; a magnitude has its own type.
#[test]
fn limits_and_magnitudes_keep_their_meaning() {
    for (name, layers) in [("consts", &["maxc_Max", "minc_Min"][..]), ("acts", &["a_abs_Abs"])] {
        let load = |suffix: &str| shared(&format!("kit/{name}/{name}{suffix}")).map(|f| WeightStore::load(&f).unwrap());
        let (Some(top), Some(float), Some(inputs), Some(wanted)) = (calibrated(name, &Chip::BM1684X), load("_top_f32_all_weight.npz"), load("_in_f32.npz"), load("_top_outputs.npz")) else { return };
        let (top, float) = top_optimize(&top, &float, &Chip::BM1684X).unwrap();
        let (program, lowered) = lower_program(&top, &float, &Chip::BM1684X, Mode::Int8).unwrap();
        let plan = Arc::new(Plan::new(program, &lowered, Options::default()).unwrap());
        let inputs = plan.inputs_named(|name| inputs.get(name).map(|t| &**t)).unwrap();
        let found = plan.executor().unwrap().run_all(&inputs).unwrap();
        for layer in layers {
            let (a, b) = (found[*layer].to_f32(), wanted.get(layer).unwrap().to_f32());
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
            let cosine = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
            println!("{layer}: {cosine}");
            // The reference reaches .953, .957 and .995.
            assert!(cosine > 0.998, "{layer}: {cosine}");
        }
    }
}

#[test]
fn chips_without_zero_points_say_so() {
    let mut program = Program::new("net");
    program.attrs.insert("module.asymmetric".into(), Attr::Bool(true));
    for chip in [&Chip::BM1684, &Chip::CV183X] {
        let error = lower_program(&program, &WeightStore::new(), chip, Mode::Int8).unwrap_err();
        assert_eq!(error, LowerError::ZeroPoints { chip: chip.name });
        assert_eq!(error.to_string(), format!("chip {} has no zero points: asymmetric quantization is for bm1684x, bm1688, cv186x, bm1690", chip.name));
    }
}
