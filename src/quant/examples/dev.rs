#[path = "../tests/kit/reader.rs"]
mod reader;
use std::collections::HashMap;
use std::path::Path;
use tpuc_imageio::{Loader, NetInput, PixelFormat, Preprocess, Samples};
use tpuc_lowering::table::CalibrationTable;
use tpuc_lowering::{Chip, Mode};
use tpuc_ops::Op;
use tpuc_quant::evaluator::{Evaluator, EvaluatorOptions};
use tpuc_quant::model::Target;
use tpuc_quant::search::{journal::Journal, qtable::*, sensitive, Table, Trials};
use tpuc_tensor::WeightStore;

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (mlir, npz, ds, num, what, dir, unrounded, threads) = (&a[1], &a[2], &a[3], a[4].parse::<usize>().unwrap(), &a[5], Path::new(&a[6]), a[7] == "1", a[8].parse::<usize>().unwrap());
    let program = reader::read(&std::fs::read_to_string(mlir).unwrap());
    let weights = WeightStore::load(Path::new(npz)).unwrap();
    let input = &program.nodes[0];
    let Op::TopInput(attributes) = &input.op else { panic!() };
    let shape = program.tensor_type(input.results[0]).unwrap().dims();
    let resize = attributes.resize_dims.as_ref().unwrap();
    let single = |list: &Option<Vec<f64>>| list.as_ref().unwrap().iter().map(|&v| v as f32).collect();
    let mut preprocess = Preprocess::new([shape[2], shape[3]]);
    preprocess.resize_dims = [resize[0] as usize, resize[1] as usize];
    (preprocess.mean, preprocess.scale) = (single(&attributes.mean), single(&attributes.scale));
    preprocess.pixel_format = PixelFormat::Rgb;
    let inputs = vec![NetInput { name: program.node_name(0).into(), shape, preprocess: Some(preprocess) }];
    let loader = Loader::new(Samples::from_dataset(Path::new(ds), num).unwrap(), inputs).unwrap();
    let target = Target { program: &program, weights: &weights, chip: Chip::find("bm1684x").unwrap() };
    let t0 = std::time::Instant::now();
    let evaluator = Evaluator::new(target, &loader, EvaluatorOptions { samples: num, unrounded_casts: unrounded, threads, ..Default::default() }).unwrap();
    println!("float {:?}", t0.elapsed());
    let lines = std::cell::RefCell::new(Vec::<String>::new());
    let log = |m: &str| lines.borrow_mut().push(m.to_owned());
    let mut trials = Trials { evaluator, journal: Journal::in_memory(), log: &log, progress: &|_, _| {}, mlir: "efflite0.mlir".into(), float: Mode::F16 };
    let read = |f: &str| CalibrationTable::read(&dir.join(f)).unwrap().rows().to_vec();
    let theirs;
    let outcome = if what == "sq" {
        theirs = std::fs::read_to_string(dir.join("Search_Qtable")).unwrap();
        let tables = [Table { method: "KL", rows: read("sq_cali_KL_tune") }, Table { method: "MSE", rows: read("sq_cali_MSE_tune") }];
        search_qtable(&mut trials, &tables, &QtableOptions { expected_cos: 0.9999, max_float_layers: 5, transformer: false, screening: false, fixed: None }).unwrap()
    } else {
        theirs = std::fs::read_to_string(dir.join("SensitiveLayerSearcher")).unwrap();
        let rows = read("cali");
        let tables = || Ok(vec![Table { method: "MAX", rows: read("cali_MAX_tune") }, Table { method: "Percentile9999", rows: read("cali_Percentile9999_tune") }, Table { method: "KL", rows: read(&a[9]) }]);
        sensitive::search(&mut trials, &rows, 0.9999, 5, tables).unwrap()
    };
    println!("search {:?}", t0.elapsed());
    let lines = lines.into_inner();
    let rank = |text: &mut dyn Iterator<Item = &str>| text.filter_map(|l| { let l = l.split("the layer ").nth(1)?; let (n, r) = l.split_once(" is ")?; let loss = r.split("loss is ").nth(1)?.split(',').next()?; Some((n.to_owned(), loss.parse::<f64>().unwrap())) }).collect::<Vec<_>>();
    let ours = rank(&mut lines.iter().map(|s| s.as_str()));
    let theirs_r = rank(&mut theirs.lines());
    let map: HashMap<_, _> = theirs_r.iter().cloned().collect();
    let mut worst = 0f64;
    for (i, (n, l)) in ours.iter().enumerate() {
        let d = (l - map.get(n).copied().unwrap_or(9.0)).abs();
        worst = worst.max(d);
        if theirs_r.get(i).map(|t| &t.0) != Some(n) { println!("rank {i}: {n} {l:e} vs {:?}", theirs_r.get(i)); }
    }
    println!("{} / {} layers, worst difference {worst:e}", ours.len(), theirs_r.len());
    let pick = |text: &mut dyn Iterator<Item = &str>| text.filter(|l| l.contains("adjust layer") || l.contains("best_method") || l.contains("int8_cos") || l.contains("mix model") || l.contains("number")).map(|l| l.trim_start_matches("INFO:root:").to_owned()).collect::<Vec<_>>();
    let (o, t) = (pick(&mut lines.iter().map(|s| s.as_str())), pick(&mut theirs.lines()));
    for (a, b) in o.iter().zip(&t).filter(|(a, b)| a.split("best_cos").next() != b.split("best_cos").next()).take(20) { println!("- {a}\n+ {b}"); }
    println!("{} {:?} {:?}", outcome.int8, outcome.mixed, outcome.layers.len());
}
