#[path = "../tests/kit/reader.rs"]
mod reader;
use std::path::Path;
use tpuc_lowering::table::CalibrationTable;
use tpuc_lowering::{Chip, Mode};
use tpuc_quant::model::Target;
use tpuc_tensor::WeightStore;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let program = reader::read(&std::fs::read_to_string(&a[1]).unwrap());
    let weights = WeightStore::load(Path::new(&a[2])).unwrap();
    let target = Target { program: &program, weights: &weights, chip: Chip::find("bm1684x").unwrap() };
    let rows = CalibrationTable::read(Path::new(&a[3])).unwrap().rows().to_vec();
    let (p, _) = target.mixed_program(&rows, |n| if program.node_name(n) == a[4] { Mode::Int8 } else { Mode::F16 }).unwrap();
    for (i, n) in p.nodes.iter().enumerate().skip(p.nodes.len().saturating_sub(9)) {
        println!("{} {} {:?} <- {:?}", n.op.name(), p.node_name(i), p.tensor_type(n.results[0]).unwrap(), n.operands.iter().map(|&o| p.value(o).name.clone()).collect::<Vec<_>>());
    }
}
