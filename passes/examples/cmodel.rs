//! Compiles a lowered module layer by layer and runs each on the vendor's cmodel. Scratch tool.
use std::collections::HashMap;
use std::path::Path;
use tpuc_dialects::{Module, context};
use tpuc_ops::Op;
use tpuc_runtime::*;
use tpuc_tensor::npz;

fn main() {
    child_main_if_requested();
    let args: Vec<String> = std::env::args().collect();
    let (mlir, input, reference) = (&args[1], &args[2], &args[3]);
    let context = context();
    let module = Module::read(&context, Path::new(mlir)).unwrap();
    let program = module.program().unwrap();
    let weights = module.weights().unwrap();
    let inputs = npz::read_npz(Path::new(input)).unwrap();
    let reference: HashMap<_, _> = npz::read_npz(Path::new(reference)).unwrap().into_iter().collect();
    let only = args.get(4).map(|s| s.as_str());
    for node in 0..program.nodes.len() {
        if matches!(program.nodes[node].op, Op::TopInput(_) | Op::TpuReshape(_)) {
            continue;
        }
        let mut cut = program.clone();
        cut.nodes.truncate(node + 1);
        cut.outputs = vec![cut.nodes[node].results[0]];
        let name = program.node_name(node).to_owned();
        if only.is_some_and(|o| o == "last") && node + 1 != program.nodes.len() {
            continue;
        }
        if only.is_some_and(|o| o != "last" && o != name) {
            continue;
        }
        let compiled = match tpuc_codegen::compile(&cut, &weights) {
            Ok(c) => c,
            Err(e) => {
                println!("{name}: {e}");
                continue;
            }
        };
        let path = std::env::temp_dir().join("layer.bmodel");
        std::fs::write(&path, tpuc_bmodel::write(&compiled.model(&cut, "now")).unwrap()).unwrap();
        let simulate = std::env::var_os("SIM").is_some();
        let mut runner: Box<dyn Runner> = if simulate {
            Box::new(Simulator::new(&tpuc_bmodel::read_owned(std::fs::read(&path).unwrap()).unwrap(), &SimulatorOptions::default()).unwrap())
        } else {
            Box::new(Bmrt::open(&path, &BmrtOptions::default()).unwrap())
        };
        let start = std::time::Instant::now();
        let outputs = match runner.run(&inputs) {
            Ok(o) => o,
            Err(e) => {
                println!("{name}: {e}");
                continue;
            }
        };
        println!("   {:.4} s", start.elapsed().as_secs_f64());
        let scale = program.tensor_type(cut.outputs[0]).unwrap().elem.scale();
        let wanted = reference[&name].to_f32();
        let found = outputs[0].1.to_f32();
        let found: Vec<f32> = match scale {
            Some(s) => found.iter().map(|q| q * s as f32).collect(),
            None => found,
        };
        let unit = scale.unwrap_or(1.0) as f32;
        let bad = wanted.iter().zip(&found).filter(|(a, b)| ((*a - *b) / unit).abs() > if scale.is_some() { 0.01 } else { 0.0 }).count();
        println!("{name} {}: {} of {} differ; commands {} cycles {:?}", program.nodes[node].op.name(), bad, found.len(), compiled.commands.len(), compiled.timeline().map(|t| t.cycles));
        if bad > 0 {
            let list: Vec<_> = wanted.iter().zip(&found).enumerate().filter(|(_, (a, b))| a != b).take(6).map(|(i, (a, b))| (i, (a / unit).round(), (b / unit).round())).collect();
            println!("   first {list:?}");
        }
    }
}
