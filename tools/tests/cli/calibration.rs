//! `run_calibration`: networks of several inputs and of batches, interruption, the tables beside the calibration table, new weights.

use super::{Desk, kit, tiny};
use std::path::Path;
use std::process::{Command, Stdio};
use tpuc_lowering::CalibrationTable;
use tpuc_tensor::{Tensor, npz};

/// Rows of a table without its header.
fn rows(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect()
}

/// A network of two inputs: one is added to the other's two rows.
const TWO_INPUTS: &str = r##"module @two attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "two_top_f32_all_weight.npz"} {
  func.func @main(%arg0: tensor<2x4xf32>, %arg1: tensor<1x4xf32>) -> tensor<2x4xf32> {
    %a = "top.Input"(%arg0) : (tensor<2x4xf32>) -> tensor<2x4xf32> loc("a")
    %b = "top.Input"(%arg1) : (tensor<1x4xf32>) -> tensor<1x4xf32> loc("b")
    %sum = "top.Add"(%a, %b) : (tensor<2x4xf32>, tensor<1x4xf32>) -> tensor<2x4xf32> loc("sum")
    return %sum : tensor<2x4xf32>
  }
}
"##;

fn two_inputs() -> Desk {
    let desk = Desk::new();
    desk.write("two.mlir", TWO_INPUTS.as_bytes());
    npz::write_npz(&desk.path("two_top_f32_all_weight.npz"), std::iter::empty()).unwrap();
    desk
}

fn npy(path: &Path, shape: &[usize], values: &[f32]) {
    npz::write_npy(path, &Tensor::f32(shape, values.to_vec()).unwrap()).unwrap();
}

/// The same values from npz files with every input, and from a list of npy files with a column an input.
#[test]
fn several_inputs() {
    let desk = two_inputs();
    std::fs::create_dir(desk.path("ds")).unwrap();
    let samples = [([1.0, -2.0, 3.0, 4.0, 0.5, 0.5, -7.0, 1.0], [1.0, 1.0, 1.0, 1.0]), ([0.25; 8], [-9.0, 2.0, 0.0, 1.0])];
    let mut list = String::new();
    for (index, (a, b)) in samples.iter().enumerate() {
        let (a_, b_) = (Tensor::f32(&[2, 4], a.to_vec()).unwrap(), Tensor::f32(&[1, 4], b.to_vec()).unwrap());
        npz::write_npz(&desk.path("ds").join(format!("{index}.npz")), [("a", &a_), ("b", &b_)].into_iter()).unwrap();
        npy(&desk.path(&format!("a{index}.npy")), &[2, 4], a);
        npy(&desk.path(&format!("b{index}.npy")), &[1, 4], b);
        list.push_str(&format!("a{index}.npy,b{index}.npy\n"));
    }
    desk.write("list", list.as_bytes());
    desk.runs("run_calibration", &["two.mlir", "--dataset", "ds", "--cali_method", "use_max", "-o", "t"]);
    assert_eq!(rows(&desk.path("t")), ["a 7.0000000 -7.0000000 4.0000000", "b 9.0000000 -9.0000000 2.0000000", "sum 8.7500000 -8.7500000 5.0000000"]);
    desk.runs("run_calibration", &["two.mlir", "--data_list", "list", "--cali_method", "use_max", "-o", "l"]);
    assert_eq!(rows(&desk.path("l")), rows(&desk.path("t")));
    let fails = |more: &[&str], expected: &str| desk.fails("run_calibration", &[&["two.mlir", "-o", "bad", "--quiet"], more].concat(), 1, expected);
    desk.write("one", b"a0.npy\n");
    fails(&["--data_list", "one"], "a0.npy");
    desk.write("swapped", b"b0.npy,a0.npy\n");
    fails(&["--data_list", "swapped"], "expected [2, 4]");
    std::fs::create_dir(desk.path("half")).unwrap();
    npz::write_npz(&desk.path("half/0.npz"), [("a", &Tensor::f32(&[2, 4], vec![0.0; 8]).unwrap())].into_iter()).unwrap();
    fails(&["--dataset", "half"], "half/0.npz");
    assert!(!desk.path("bad").exists());
}

/// A network of four pictures: twelve samples are three batches, of ten the last one fills up the third. npz samples of batch 1 are
/// put together.
#[test]
fn batches() {
    let Some(kit) = kit("cnn_res") else { return };
    let desk = Desk::new();
    let (onnx, ds) = (kit.join("cnn_res.onnx").display().to_string(), kit.join("ds").display().to_string());
    let preprocess = ["--mean", "123.675,116.28,103.53", "--scale", "0.0171,0.0175,0.0174", "--pixel_format", "rgb"];
    desk.runs("model_transform", &[&["--model_name", "n", "--model_def", &onnx, "--input_shapes", "[[4,3,64,64]]", "--mlir", "n.mlir", "--quiet"], &preprocess[..]].concat());
    let calibrate = |count: &str, threads: &str| {
        desk.runs("run_calibration", &["n.mlir", "--dataset", &ds, "--input_num", count, "--threads", threads, "-o", "t"]);
        rows(&desk.path("t"))
    };
    for (count, golden) in [("12", include_str!("batch_of_4_samples_12")), ("10", include_str!("batch_of_4_samples_10"))] {
        let ours = calibrate(count, "2");
        let equal = ours.iter().zip(golden.lines()).filter(|(a, b)| a == b).count();
        println!("batch of 4, {count} samples: {equal} of {} rows equal in all digits", ours.len());
        for (a, b) in ours.iter().zip(golden.lines()) {
            let numbers = |row: &str| row.split(' ').skip(1).map(|v| v.parse::<f64>().unwrap()).collect::<Vec<_>>();
            assert_eq!(a.split(' ').next(), b.split(' ').next());
            assert!(numbers(a).iter().zip(numbers(b)).all(|(x, y)| (x - y).abs() <= 1e-5 * numbers(b)[0]), "{a} instead of {b}");
        }
        assert_eq!(ours.len(), golden.lines().count());
        assert_eq!(calibrate(count, "1"), ours, "threads");
    }
}

/// A calibration that is killed leaves no table; one that had a table before leaves that.
#[test]
fn interrupted() {
    let Some(kit) = kit("transformer") else { return };
    let desk = Desk::new();
    for name in ["transformer.mlir", "transformer_top_f32_all_weight.npz"] {
        std::fs::copy(kit.join(name), desk.path(name)).unwrap();
    }
    let ds = kit.join("ds").display().to_string();
    let arguments = ["transformer.mlir", "--dataset", &ds, "--sq", "--kurtosis_analysis", "--report", "page.html", "-o", "table", "--quiet"];
    desk.runs("run_calibration", &arguments);
    let names = ["table", "kurtosis_analysis", "shape_pattern_qtable", "page.html", "transformer_sq.mlir", "transformer_sq_top_f32_all_weight.npz", "SmoothQuant", "transformer_shape_ops"];
    let whole = |name: &str| std::fs::read(desk.path(name)).unwrap_or_else(|_| panic!("{name}"));
    let wholes: Vec<Vec<u8>> = names.iter().map(|n| whole(n)).collect();
    let mut killed = 0;
    for (turn, milliseconds) in [0u64, 5, 20, 60, 120, 200, 300, 450, 700].into_iter().enumerate() {
        // Without a table before, then with one.
        let with_old = turn % 2 == 1;
        for name in names {
            std::fs::remove_file(desk.path(name)).ok();
            if with_old && name == "table" {
                desk.write(name, b"old");
            }
        }
        let mut child = Command::new(desk.path("run_calibration")).args(arguments).current_dir(desk.path(".")).env("SOURCE_DATE_EPOCH", "0").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        killed += usize::from(child.kill().is_ok() && !child.wait().unwrap().success());
        for (name, whole) in names.iter().zip(&wholes) {
            let Ok(found) = std::fs::read(desk.path(name)) else { continue };
            let old = with_old && *name == "table" && found == b"old";
            // The time in a header may differ, the length does not.
            assert!(old || found.len() == whole.len(), "{name} after {milliseconds} ms: {} bytes of {}", found.len(), whole.len());
        }
    }
    println!("killed {killed} times");
    assert!(killed > 0);
}

#[test]
fn layers_that_stay_float() {
    let desk = tiny();
    let run = |more: &[&str]| desk.runs("run_calibration", &[&["tiny.mlir", "--data_list", "list", "-o", "t"], more].concat());
    let fails = |more: &[&str], expected: &str| desk.fails("run_calibration", &[&["tiny.mlir", "--data_list", "list", "-o", "bad"], more].concat(), 2, expected);
    let tensor = Tensor::f32(&[1, 4], vec![-1.0, 2.0, -3.0, 4.0]).unwrap();
    npz::write_npz(&desk.path("a.npz"), [("x", &tensor)].into_iter()).unwrap();
    desk.write("list", b"a.npz\n");
    run(&[]);
    let text = |name: &str| std::fs::read_to_string(desk.path(name)).unwrap();
    let after_time = |name: &str| text(name).split_once('\n').unwrap().1.to_owned();
    assert_eq!(after_time("tiny_shape_ops"), "# chip: bm1684x  mix_mode: F16\n# number of F16 layer: 0\n###\n# op_name   quantize_mode\n");
    let header = |counts: [usize; 4], part: &str| {
        format!(
            "# sample number: 0\n# chip: bm1684x\n# total layers: {} (unique list blow)\n# number of shape layers: {}\n# number of pattern layers: {}\n# number of custom layers: {}\n# # part_quant_mode: {part}\n###\n# op_name   quantize_mode\n# pattern layers\n",
            counts[0], counts[1], counts[2], counts[3]
        )
    };
    assert_eq!(after_time("shape_pattern_qtable"), header([0; 4], "None") + "# shape layers\n# custom layers\n");
    let said = run(&["--part_quantize", "H_mode"]);
    assert!(said.contains("shape_pattern_qtable: 2 layers that should stay float"), "{said}");
    assert_eq!(after_time("shape_pattern_qtable"), header([2, 0, 2, 0], "H_mode") + "x F16\ny_Relu F16\n# shape layers\n# custom layers\n");
    run(&["--part_quantize", "N_mode", "--fp_type", "F32"]);
    assert_eq!(after_time("shape_pattern_qtable"), header([1, 0, 1, 0], "N_mode") + "x F32\n# shape layers\n# custom layers\n");
    run(&["--part_quantize", "custom_mode", "--custom_operator", "Relu,Input"]);
    assert_eq!(after_time("shape_pattern_qtable"), header([0; 4], "custom_mode, custom_operator: Relu,Input") + "# shape layers\n# custom layers\n");
    run(&["--kurtosis_analysis"]);
    assert_eq!(text("kurtosis_analysis"), "# op_name   kurtosis   op_type\ny_Relu  1.6280990  top.Relu\nx  1.4756244  top.Input\n");

    fails(&["--part_quantize", "K_mode"], "--part_quantize: unknown mode 'K_mode', expected N_mode, H_mode or custom_mode");
    fails(&["--part_quantize", "custom_mode"], "--part_quantize custom_mode needs --custom_operator");
    fails(&["--part_quantize", "N_mode", "--custom_operator", "Conv"], "--custom_operator belongs to --part_quantize custom_mode");
    fails(&["--custom_operator", "Conv"], "--custom_operator belongs to --part_quantize custom_mode");
    fails(&["--fp_type", "F8"], "--fp_type: 'F8' is no float type of bm1684x, expected auto or one of F16, BF16, F32");
    assert!(!desk.path("bad").exists());
    let output = desk.output("run_calibration", &["tiny.mlir", "--data_list", "list", "-o", "t", "--part_quantize", "custom_mode", "--custom_operator", "Rleu"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("the network has no op of type 'Rleu'; the nearest is 'Relu'"));
}

/// Smoothed and corrected networks stand beside the table; the user's stay as they are, and twice is once.
#[test]
fn networks_with_smoothed_weights() {
    let Some(kit) = kit("transformer") else { return };
    let desk = Desk::new();
    let files = ["transformer.mlir", "transformer_top_f32_all_weight.npz"];
    for name in files {
        std::fs::copy(kit.join(name), desk.path(name)).unwrap();
    }
    let ds = kit.join("ds").display().to_string();
    let read = |name: &str| std::fs::read(desk.path(name)).unwrap_or_else(|_| panic!("{name}"));
    let before = files.map(read);
    let calibrate = |more: &[&str]| desk.runs("run_calibration.py", &[&["transformer.mlir", "--dataset", &ds, "--input_num", "12", "-o", "table", "--quiet"], more].concat());
    for (options, mark) in [(&["--sq"][..], "sq"), (&["--smc"], "smc"), (&["--sq", "--smc"], "sq_smc")] {
        calibrate(options);
        let table = CalibrationTable::read(&desk.path("table")).unwrap();
        assert_eq!((table.header.mlir, table.header.adjusted_from.as_deref()), (format!("transformer_{mark}.mlir"), Some("transformer.mlir")));
        let made = [format!("transformer_{mark}.mlir"), format!("transformer_{mark}_top_f32_all_weight.npz")];
        let first = (rows(&desk.path("table")), made.each_ref().map(|n| read(n)));
        calibrate(&[options, &["--threads", "1"]].concat());
        assert_eq!((rows(&desk.path("table")), made.each_ref().map(|n| read(n))), first, "{mark}: a second run gives the same");
        // In float the network is the same.
        for (mlir, out) in [("transformer.mlir", "old.npz"), (made[0].as_str(), "new.npz")] {
            desk.runs("model_runner", &["--input", &kit.join("transformer_in_f32.npz").display().to_string(), "--model", mlir, "--output", out]);
        }
        desk.runs("npz_tool", &["compare", "old.npz", "new.npz", "--tolerance", "0.99999,0.9999"]);
        made.iter().for_each(|n| std::fs::remove_file(desk.path(n)).unwrap());
    }
    assert_eq!(files.map(read), before);
    let left = desk.files();
    assert!(!left.iter().any(|n| n.contains("_sq.mlir") || n.contains("_smc.mlir")), "{left:?}");
}
