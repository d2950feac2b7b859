//! New weights against those that the reference wrote.

use super::shared;
use tpuc_dialects::pass::run_pipeline;
use tpuc_dialects::{Module, context};

fn fnv(values: &[f32]) -> u64 {
    values.iter().flat_map(|v| v.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// The arithmetic has one order, so that every weight is equal in every bit.
#[test]
fn equalized_weights_equal_the_references() {
    tpuc_passes::register_all();
    for name in ["cnn_res", "mbv2_tiny"] {
        let Some(mlir) = shared(&format!("kit/{name}/{name}.mlir")) else { continue };
        let context = context();
        let mut module = Module::read(&context, &mlir).unwrap();
        run_pipeline(&mut module, "builtin.module(top-equalize-weights)").unwrap();
        let weights = module.weights().unwrap();
        let golden = include_str!("../golden/equalized.txt").lines().map(|l| l.split(' ').collect::<Vec<_>>()).filter(|f| f[0] == name);
        let mut compared = 0;
        for fields in golden {
            let ours = weights.get(fields[1]).unwrap_or_else(|| panic!("{name}: no weight {}", fields[1])).to_f32();
            let sum: f64 = ours.iter().map(|v| f64::from(v.abs())).sum();
            assert_eq!(ours.len().to_string(), fields[2], "{name} {}", fields[1]);
            assert_eq!(format!("{:016x}", fnv(&ours)), fields[3], "{name} {}: the magnitudes sum up to {sum} instead of {}", fields[1], fields[4]);
            compared += 1;
        }
        assert_eq!(compared, weights.len());
        println!("{name}: {compared} weights equal in all bits");
    }
}

/// What the reference's (1.30.2) log says for `--bc --bc_inference_num 12 --chip bm1684x` with every similarity wanted above
/// 0.9999 (outputs of mbv2_tiny: 0.99999): layer, old and new similarity of the layer, new one of the outputs.
const CORRECTIONS: [(&str, f64, &[(&str, f64, f64, f64)]); 2] = [
    (
        "cnn_res",
        0.999587,
        &[
            ("pw3_Conv", 0.999860, 0.999869, 0.999587),
            ("r64_Clip", 0.999792, 0.999797, 0.999470),
            ("r65_Clip", 0.999693, 0.999696, 0.999390),
            ("sc_Conv", 0.999771, 0.999779, 0.999556),
            ("pw6_Conv", 0.999658, 0.999664, 0.999455),
            ("c8_Conv", 0.999776, 0.999785, 0.999741),
        ],
    ),
    (
        "mbv2_tiny",
        0.999951,
        &[
            ("n10_relu6_Clip", 0.999855, 0.999874, 0.999954),
            ("n11_relu6_Clip", 0.999722, 0.999751, 0.999956),
            ("n12_conv_Conv", 0.999747, 0.999773, 0.999960),
            ("n13_relu6_Clip", 0.999695, 0.999727, 0.999954),
            ("n14_relu6_Clip", 0.999631, 0.999653, 0.999954),
            ("n15_conv_Conv", 0.999615, 0.999641, 0.999952),
            ("n16_relu6_Clip", 0.999735, 0.999757, 0.999961),
            ("n17_relu6_Clip", 0.999606, 0.999623, 0.999953),
            ("n18_conv_Conv", 0.999546, 0.999565, 0.999966),
            ("n19_relu6_Clip", 0.999426, 0.999457, 0.999952),
            ("n20_relu6_Clip", 0.999161, 0.999180, 0.999951),
            ("n21_conv_Conv", 0.999078, 0.999100, 0.999950),
            ("n22_relu6_Clip", 0.999430, 0.999445, 0.999970),
        ],
    ),
];

#[test]
fn corrected_biases_equal_the_references() {
    use tpuc_lowering::CalibrationTable;
    use tpuc_passes::correct_bias::correct;
    use tpuc_passes::samples::SampleChoice;
    use tpuc_quant::correct_bias::BiasOptions;
    for (name, int8_cos, expected) in CORRECTIONS {
        let (Some(mlir), Some(table), Some(dataset)) =
            (shared(&format!("kit/{name}/{name}.mlir")), shared(&format!("kit/{name}/{name}_cali_kl")), shared(&format!("kit/{name}/ds")))
        else {
            continue;
        };
        let context = context();
        let module = Module::read(&context, &mlir).unwrap();
        let (program, weights) = (module.program().unwrap(), module.weights().unwrap());
        let samples = SampleChoice { dataset, input_num: 12, ..SampleChoice::default() };
        let expected_cos = if name == "cnn_res" { 0.9999 } else { 0.99999 };
        let run = |threads| {
            let options = BiasOptions { expected_cos, min_layer_cos: 0.9999, threads, ..BiasOptions::default() };
            correct(&program, &weights, &CalibrationTable::read(&table).unwrap(), &samples.loader(&program).unwrap(), &options).unwrap()
        };
        let found = run(2);
        assert!((found.int8_cos.unwrap() - int8_cos).abs() < 1e-6, "{name}: {:?}", found.int8_cos);
        assert_eq!(found.corrections.iter().map(|c| c.layer.as_str()).collect::<Vec<_>>(), expected.iter().map(|e| e.0).collect::<Vec<_>>());
        for (ours, theirs) in found.corrections.iter().zip(expected) {
            for (a, b) in [(ours.old_layer_cos, theirs.1), (ours.new_layer_cos, theirs.2), (ours.outputs_cos, theirs.3)] {
                assert!((a - b).abs() < 1e-5, "{name} {}: {a} instead of {b}", ours.layer);
            }
        }
        assert_eq!(run(1).corrections, found.corrections, "{name}: threads");
        let golden: Vec<Vec<&str>> = include_str!("../golden/corrected.txt").lines().map(|l| l.split(' ').collect()).filter(|f: &Vec<&str>| f[0] == name).collect();
        let mut worst = 0f64;
        for (weight, tensor) in found.weights.iter() {
            let theirs = golden.iter().find(|f| f[1] == weight);
            assert_eq!(theirs.is_some(), weights.get(weight) != Some(tensor), "{name}: weight {weight}");
            for (a, b) in tensor.to_f32().iter().zip(theirs.into_iter().flat_map(|f| &f[2..])) {
                worst = worst.max((f64::from(*a) - b.parse::<f64>().unwrap()).abs());
            }
        }
        println!("{name}: {} corrections tried, {} biases changed, at most {worst:.1e} from the reference's", found.corrections.len(), golden.len());
        assert!(worst < 2e-6);
    }
}

/// Calibration runs on the new weights.
#[test]
fn tables_of_equalized_networks_equal_the_references() {
    tpuc_passes::register_all();
    for name in ["cnn_res", "mbv2_tiny"] {
        let (Some(mlir), Some(dataset)) = (shared(&format!("kit/{name}/{name}.mlir")), shared(&format!("kit/{name}/ds"))) else { continue };
        let context = context();
        let mut module = Module::read(&context, &mlir).unwrap();
        run_pipeline(&mut module, "builtin.module(top-equalize-weights)").unwrap();
        let request = tpuc_quant::Request { dataset, input_num: 12, ..Default::default() };
        let session = tpuc_passes::calibrate::open(&module.program().unwrap(), &module.weights().unwrap(), request).unwrap();
        let table = tpuc_passes::calibrate::calibrate(&session, name).unwrap().table;
        let golden = include_str!("../golden/equalized_table.txt").lines().map(|l| l.split(' ').collect::<Vec<_>>()).filter(|f| f[0] == name);
        let (mut rows, mut equal) = (0, 0);
        for (row, theirs) in table.rows().iter().zip(golden) {
            assert_eq!(row.name, theirs[1]);
            let digits = [row.threshold, row.min, row.max].map(|v| format!("{v:.7}"));
            equal += usize::from(digits[..] == theirs[2..]);
            rows += 1;
            for (a, b) in [row.threshold, row.min, row.max].iter().zip(&theirs[2..]) {
                assert!((a - b.parse::<f64>().unwrap()).abs() <= 1e-5 * row.threshold, "{name} {}: {a} instead of {b}", row.name);
            }
        }
        assert_eq!(rows, table.rows().len());
        println!("{name}: {equal} of {rows} rows after equalization equal in all digits");
    }
}
