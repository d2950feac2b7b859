//! The whole journey with times. Scratch tool.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tpuc_dialects::pass::run_pipeline;
use tpuc_dialects::{Module, context};
use tpuc_frontend::{ImportOptions, Preprocessing, import};
use tpuc_interp::{Options, Plan};
use tpuc_lowering::table::CalibrationTable;
use tpuc_passes::calibrate::{Request, calibrate};
use tpuc_runtime::*;
use tpuc_tensor::npz;

fn main() {
    child_main_if_requested();
    tpuc_passes::register_all();
    let s = PathBuf::from(std::env::args().nth(1).unwrap());
    let t = Instant::now();
    let context = context();
    let pre = Preprocessing { resize_dims: Some([256, 256]), mean: vec![127.0; 3], scale: vec![0.0078125; 3], pixel_format: "rgb".into(), ..Default::default() };
    let imported = import(&s.join("models/efficientnet_lite0.onnx"), &ImportOptions { model_name: "efflite0".into(), preprocessing: pre, ..Default::default() }).unwrap();
    let mut module = Module::from_program(&context, &imported.program, imported.weights).unwrap();
    run_pipeline(&mut module, tpuc_passes::TOP_PIPELINE).unwrap();
    println!("transform {:.3}", t.elapsed().as_secs_f64());
    let program = module.program().unwrap();
    let weights = module.weights().unwrap();
    // float
    let input = npz::read_npz(&s.join("kit/efficientnet_lite0/efflite0_in_f32.npz")).unwrap();
    for threads in [1, 2] {
        let plan = Arc::new(Plan::new(program.clone(), &weights, Options { threads, ..Default::default() }).unwrap());
        let mut ex = plan.executor().unwrap();
        let mut best = f64::MAX;
        for _ in 0..20 {
            let t = Instant::now();
            ex.outputs(&[&input[0].1]).unwrap();
            best = best.min(t.elapsed().as_secs_f64());
        }
        println!("float {threads} threads: {:.2} ms", best * 1e3);
        if threads == 1 {
            let all = ex.run_all(&[&input[0].1]).unwrap();
            let reference = npz::read_npz(&s.join("kit/efficientnet_lite0/efflite0_top_outputs.npz")).unwrap();
            let mut worst = 0f64;
            for (n, r) in &reference {
                let (a, b) = (all[n].to_f32(), r.to_f32());
                let peak = b.iter().fold(0f32, |m, v| m.max(v.abs()));
                let d = a.iter().zip(&b).map(|(x, y)| (x - y).abs()).fold(0f32, f32::max);
                worst = worst.max((d / peak) as f64);
            }
            println!("top tensors: {} compared, worst difference relative to the peak {worst:.2e}", reference.len());
        }
    }
    let t = Instant::now();
    let request = Request { dataset: s.join("photos/calibration200"), data_list: PathBuf::new(), method: "kl".parse().unwrap(), input_num: 100, tune_num: 5, histogram_bins: 2048, threads: 2 };
    let c = calibrate(&program, &weights, "efflite0.mlir", &request).unwrap();
    println!("calibrate {:.3}", t.elapsed().as_secs_f64());
    let theirs = CalibrationTable::read(&s.join("kit/efficientnet_lite0/efflite0_cali_kl")).unwrap();
    let mut equal = 0;
    for (a, b) in c.table.rows().iter().zip(theirs.rows()) {
        let f = |v: f64| format!("{v:.7}");
        if f(a.threshold) == f(b.threshold) && f(a.min) == f(b.min) && f(a.max) == f(b.max) && a.name == b.name {
            equal += 1;
        } else if ((a.threshold - b.threshold) / b.threshold).abs() > 1e-5 {
            println!("  {} {} {} | {} {} {}", a.name, a.threshold, a.min, b.name, b.threshold, b.min);
        }
    }
    println!("rows {} equal {equal}", c.table.rows().len());
    let t = Instant::now();
    let p = s.join("kit/efficientnet_lite0/efflite0_cali_kl");
    run_pipeline(&mut module, &format!("builtin.module(processor-assign{{chip=bm1684x mode=INT8}},import-calibration-table{{file={}}},processor-top-optimize,convert-top-to-tpu,codegen{{model_file=/tmp/eff.bmodel}})", p.display())).unwrap();
    println!("deploy {:.3}", t.elapsed().as_secs_f64());
    let program = module.program().unwrap();
    let weights = module.weights().unwrap();
    let plan = Arc::new(Plan::new(program.clone(), &weights, Options { threads: 2, ..Default::default() }).unwrap());
    let mut ex = plan.executor().unwrap();
    let mut best = f64::MAX;
    for _ in 0..10 {
        let t = Instant::now();
        ex.outputs(&[&input[0].1]).unwrap();
        best = best.min(t.elapsed().as_secs_f64());
    }
    println!("int8 2 threads: {:.2} ms", best * 1e3);
    let all = ex.run_all(&[&input[0].1]).unwrap();
    let reference = npz::read_npz(&s.join("kit/efficientnet_lite0/efflite0_bm1684x_int8_sym_tpu_outputs.npz")).unwrap();
    let mut bad = 0;
    for (n, r) in &reference {
        let (a, b) = (all[n].to_f32(), r.to_f32());
        let d = a.iter().zip(&b).filter(|(x, y)| x != y).count();
        if d > 0 {
            bad += 1;
            if bad < 5 {
                println!("  {n}: {d} of {} differ", a.len());
            }
        }
    }
    println!("tpu tensors: {} compared, {bad} differ", reference.len());
    let compiled = tpuc_codegen::compile(&program, &weights).unwrap();
    let line = compiled.timeline().unwrap();
    println!("cycles {} tiu {} dma {} commands {}", line.cycles, line.tiu_cycles, line.dma_cycles, compiled.commands.len());
    let model = tpuc_bmodel::read_owned(std::fs::read("/tmp/eff.bmodel").unwrap()).unwrap();
    let t = Instant::now();
    let mut sim = Simulator::new(&model, &SimulatorOptions::default()).unwrap();
    println!("load {:.3}", t.elapsed().as_secs_f64());
    let mut out = vec![];
    for _ in 0..3 {
        let t = Instant::now();
        out = sim.run(&input).unwrap();
        println!("simulator {:.3}", t.elapsed().as_secs_f64());
    }
    let ours = ex.outputs(&[&input[0].1]).unwrap();
    println!("simulator = interpreter: {}", ours[0].to_f32() == out[0].1.to_f32());
    if std::env::var_os("TPUC_BMRT_DIR").is_some() {
        let mut runner = Bmrt::open(Path::new("/tmp/eff.bmodel"), &BmrtOptions::default()).unwrap();
        let t = Instant::now();
        let v = runner.run(&input).unwrap();
        println!("cmodel {:.3} equal {}", t.elapsed().as_secs_f64(), v[0].1.to_f32() == out[0].1.to_f32());
    }
}
