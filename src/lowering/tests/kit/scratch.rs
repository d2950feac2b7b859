use crate::{assert_same_soft, reader::Module};
use tpuc_lowering::*;
use tpuc_tensor::WeightStore;
#[test]
fn scratch() {
    let Ok(dir) = std::env::var("ORACLE") else { return };
    for case in std::env::var("CASES").unwrap().split(',') {
        for (mode, word) in [(Mode::Int8, "INT8"), (Mode::F16, "F16"), (Mode::BF16, "BF16")] {
            let Ok(text) = std::fs::read_to_string(format!("{dir}/{case}_bm1684x_{word}.mlir")) else { continue };
            let top = Module::read(&std::fs::read_to_string(format!("{dir}/{case}_n.mlir")).unwrap());
            let mut program = top.program();
            let weights = WeightStore::load(format!("{dir}/{case}_w.npz").as_ref()).unwrap();
            if mode == Mode::Int8 {
                let table = CalibrationTable::read(format!("{dir}/{case}_cali").as_ref()).unwrap();
                let mut ranges = Ranges::from_table(&program, &table, &Chip::BM1684X).unwrap();
                ranges.propagate(&program, &Chip::BM1684X);
                program = ranges.annotate(&program);
            }
            let (program, weights) = top_optimize(&program, &weights, &Chip::BM1684X).unwrap();
            match lower_program(&program, &weights, &Chip::BM1684X, mode) {
                Err(e) => println!("{case} {word}: {e}"),
                Ok((ours, w)) => {
                    println!("=== {case} {word}");
                    assert_same_soft(&ours, &Module::read(&text));
                    if let Ok(theirs) = WeightStore::load(format!("{dir}/w_{case}_bm1684x{word}.npz").as_ref()) {
                        for (name, tensor) in theirs.iter() {
                            if let Some(o) = w.get(name) { if o.data() != tensor.data() { println!("weight {name} differs: {:?} {:?}", o.dtype(), tensor.dtype()); if let (Some(a), Some(b)) = (o.to_i64(), tensor.to_i64()) { println!("   {:?}", a.iter().zip(&b).enumerate().filter(|(_, (a,b))| a != b).take(5).collect::<Vec<_>>()); } } } else { println!("weight {name} missing"); }
                        }
                    }
                }
            }
        }
    }
}
