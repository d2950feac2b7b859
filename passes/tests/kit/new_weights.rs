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
