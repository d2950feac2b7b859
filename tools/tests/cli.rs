//! The commands as a user starts them: by name, with real files, looking at what they print and how they end.
#![allow(clippy::unwrap_used)]

#[path = "cli/calibration.rs"]
mod calibration;
#[path = "cli/searches.rs"]
mod searches;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tpuc_lowering::CalibrationTable;
use tpuc_tensor::{Tensor, npz};

/// A folder with a link to the binary under the names that a test uses.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Desk {
        Desk { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Output {
        let link = self.path(program);
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tpuc"), &link).unwrap();
        }
        Command::new(link).args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    /// Runs a command that succeeds; what it printed.
    fn runs(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.output(program, arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program} {arguments:?}\n{out}\n{err}");
        out.into_owned()
    }

    /// Runs a command that fails with a code and one line that contains `expected`.
    fn fails(&self, program: &str, arguments: &[&str], code: i32, expected: &str) {
        let output = self.output(program, arguments);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{program} {arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.contains(expected), "expected '{expected}' in: {err}");
        assert!(!err.contains("internal error"), "{err}");
    }

    fn npz(&self, name: &str, arrays: &[(&str, &[f32])]) {
        let tensors: Vec<_> = arrays.iter().map(|(n, v)| (*n, Tensor::f32(&[v.len()], v.to_vec()).unwrap())).collect();
        npz::write_npz(&self.path(name), tensors.iter().map(|(n, t)| (*n, t))).unwrap();
    }

    /// The files of the folder that are no links.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap());
        let mut names: Vec<String> = entries.filter(|e| !e.file_type().unwrap().is_symlink()).map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// A case of the shared kit, if it is there.
fn kit(case: &str) -> Option<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/kit")).join(case);
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

const SCALE_MLIR: &str = r##"#loc = loc(unknown)
module @tiny attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.top_run_mode = "STATIC", module.weight_file = "tiny_top_f32_all_weight.npz"} {
  func.func @main(%arg0: tensor<1x4xf32> loc(unknown)) -> tensor<1x4xf32> {
    %0 = "top.Input"(%arg0) {do_preprocess = true} : (tensor<1x4xf32>) -> tensor<1x4xf32> loc(#loc1)
    %1 = "top.Relu"(%0) {relu_limit = -1.0 : f64} : (tensor<1x4xf32>) -> tensor<1x4xf32> loc(#loc2)
    return %1 : tensor<1x4xf32> loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc1 = loc("x")
#loc2 = loc("y_Relu")
"##;

/// A network that is only a Relu, on disk.
fn tiny() -> Desk {
    let desk = Desk::new();
    desk.write("tiny.mlir", SCALE_MLIR.as_bytes());
    npz::write_npz(&desk.path("tiny_top_f32_all_weight.npz"), std::iter::empty()).unwrap();
    desk.npz("x.npz", &[("x", &[-1.0, 2.0, -3.0, 4.0])]);
    desk
}

#[test]
fn names_help_and_unknown_commands() {
    let desk = Desk::new();
    for name in ["model_transform", "model_deploy.py", "run_calibration.py", "model_runner", "npz_tool.py", "model_tool", "classify"] {
        let bare = name.trim_end_matches(".py");
        assert!(desk.runs(name, &["--help"]).contains(&format!("Usage: {bare}")), "{name}");
    }
    assert!(desk.runs("tpuc", &["--help"]).contains("model_deploy"));
    assert!(desk.runs("tpuc", &["npz_tool", "--help"]).contains("Usage"));
    desk.fails("tpuc", &["model_deplyo"], 2, "did you mean 'model_deploy'");
    for later in ["tpu_perf.precision_benchmark"] {
        desk.fails(later, &["x.mlir"], 1, "does not have it yet");
    }
    assert!(desk.runs("tpuc-opt", &["--help"]).contains("convert-top-to-tpu"));
}

#[test]
fn npz_tool_compares() {
    let desk = Desk::new();
    desk.npz("a.npz", &[("t", &[1.0, 2.0]), ("u", &[1.0])]);
    desk.npz("b.npz", &[("t", &[1.0, 2.0])]);
    desk.npz("c.npz", &[("t", &[2.0, -1.0])]);
    desk.npz("d.npz", &[("other", &[1.0])]);
    assert!(desk.runs("npz_tool.py", &["compare", "a.npz", "b.npz", "--except", "-", "-vv"]).contains("npz compare PASSED."));
    let failed = desk.output("npz_tool.py", &["compare", "a.npz", "c.npz"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stdout).contains("NOT_SIMLIAR [FAILED]"));
    desk.fails("npz_tool", &["compare", "a.npz", "d.npz"], 1, "no tensor in common");
    desk.fails("npz_tool", &["compare", "a.npz", "missing.npz"], 1, "missing.npz: no such file");
    desk.fails("npz_tool", &["compare", "a.npz", "b.npz", "--tolerance", "nice"], 2, "'nice' is not a number");
    desk.fails("npz_tool", &["get_shape", "a.npz", "tt"], 1, "the nearest name is 't'");
    desk.write("broken.npz", &std::fs::read(desk.path("a.npz")).unwrap()[..60]);
    desk.fails("npz_tool", &["dump", "broken.npz"], 1, "broken.npz");
}

#[test]
fn runner_on_a_tiny_network() {
    let desk = tiny();
    assert!(desk.runs("model_runner.py", &["--input", "x.npz", "--model", "tiny.mlir", "--output", "y.npz"]).contains("Saving y.npz"));
    let y = npz::read_npz(&desk.path("y.npz")).unwrap();
    assert_eq!((y[0].0.as_str(), y[0].1.to_f32()), ("y_Relu", vec![0.0, 2.0, 0.0, 4.0]));
    desk.npz("long.npz", &[("x", &[0.0; 5])]);
    desk.fails("model_runner", &["--input", "long.npz", "--model", "tiny.mlir", "--output", "z.npz"], 1, "has shape [5], input 'x' has shape [1, 4]");
    desk.fails("model_runner", &["--input", "none.npz", "--model", "tiny.mlir", "--output", "z.npz"], 1, "none.npz: no such file");
    desk.fails("model_runner", &["--input", "x.npz", "--model", "tiny.txt", "--output", "z.npz"], 1, "tiny.txt: no such file");
    desk.fails("model_runner", &["--input", "x.npz", "--model", "tiny.mlir", "--output", "x.npz/z.npz"], 1, "cannot write there");
    assert!(!desk.path("z.npz").exists());
}

#[test]
fn usage_errors_come_before_the_work() {
    let desk = tiny();
    desk.write("n.onnx", b"\x08\x07");
    let transform = |more: &[&str], code, expected: &str| {
        desk.fails("model_transform.py", &[&["--model_name", "n", "--model_def", "n.onnx", "--mlir", "n.mlir"], more].concat(), code, expected);
    };
    transform(&["--mean", "1,2"], 2, "--mean: 2 values, but pixel format bgr has 3 channels");
    transform(&["--scale", "1,2,3,4"], 2, "--scale: 4 values");
    transform(&["--input_shapes", "[1,3"], 2, "should be a list of shapes");
    transform(&["--resize_dims", "256"], 2, "should be height,width");
    transform(&["--pixel_format", "yuv"], 2, "--pixel_format");
    transform(&["--test_result", "r.npz"], 2, "--test_result needs --test_input");
    transform(&["--dynamic"], 2, "--dynamic is not supported yet");
    transform(&["--nonsense"], 2, "--nonsense");
    let deploy = |more: &[&str], code, expected: &str| {
        desk.fails("model_deploy", &[&["--mlir", "tiny.mlir", "--model", "t.bmodel"], more].concat(), code, expected);
    };
    deploy(&["--quantize", "INT8", "--chip", "bm1684x"], 2, "needs --calibration_table");
    deploy(&["--quantize", "FP16", "--chip", "bm1684x"], 2, "unknown quantization 'FP16'");
    deploy(&["--quantize", "INT8", "--processor", "bm1684y", "--calibration_table", "t"], 2, "bm1684x");
    deploy(&["--quantize", "INT8", "--chip", "bm1684x", "--calibration_table", "t"], 1, "t: no such file");
    let calibrate = |more: &[&str], code, expected: &str| desk.fails("run_calibration", &[&["tiny.mlir", "-o", "t"], more].concat(), code, expected);
    calibrate(&[], 2, "give --dataset");
    calibrate(&["--dataset", "missing"], 1, "missing");
    calibrate(&["--dataset", ".", "--cali_method", "mean"], 2, "expected one of: kl, max");
    calibrate(&["--dataset", ".", "--cali_method", "use_msee"], 2, "did you mean 'mse'?");
    calibrate(&["--dataset", ".", "--debug_cmd", "tune_stepz=3"], 2, "did you mean 'tune_steps'?");
    calibrate(&["--dataset", ".", "--search", "search_treshold"], 2, "did you mean 'search_threshold'?");
    calibrate(&["--dataset", ".", "--chip", "bm1684y"], 2, "did you mean 'bm1684x'?");
    calibrate(&["--dataset", ".", "--input_num", "-1"], 2, "--input_num: -1 is negative");
    calibrate(&["--dataset", ".", "--histogram_bin_num", "1"], 2, "should be from 2 to 8000000");
    calibrate(&["--dataset", ".", "--debug_cmd", "input_calibration_table=x", "--tune_num", "0"], 2, "--tune_num of 1 or more");
    calibrate(&["--dataset", ".", "-o", "x.npz/t"], 1, "cannot write there");
    calibrate(&["--dataset", ".", "--lwq"], 2, "--lwq is not supported yet");
    assert_eq!(desk.files(), ["n.onnx", "tiny.mlir", "tiny_top_f32_all_weight.npz", "x.npz"]);
}

#[test]
fn broken_files() {
    let desk = tiny();
    desk.write("n.onnx", b"\xff\xff\xff\xff");
    desk.fails("model_transform", &["--model_name", "n", "--model_def", "n.onnx", "--mlir", "n.mlir"], 1, "n.onnx");
    desk.write("cut.mlir", &SCALE_MLIR.as_bytes()[..400]);
    desk.fails("model_runner", &["--model", "cut.mlir", "--input", "x.npz"], 1, "cut.mlir");
    desk.write("odd.mlir", SCALE_MLIR.replace("top.Relu", "top.Strange").as_bytes());
    desk.fails("model_runner", &["--model", "odd.mlir", "--input", "x.npz"], 1, "top.Strange");
    desk.write("b.bmodel", &[0; 100]);
    desk.fails("model_tool", &["--info", "b.bmodel"], 1, "b.bmodel: not a bmodel");
    desk.fails("model_runner", &["--model", "b.bmodel", "--input", "x.npz"], 1, "b.bmodel");
    desk.fails("classify", &["--model", "tiny.mlir", "--input", "x.npz"], 2, "--mean");
    desk.write("table", b"x 1.0 0.0 1.0\ny_Rleu 1.0 0.0 1.0\n");
    let deploy = ["--mlir", "tiny.mlir", "--quantize", "INT8", "--chip", "bm1684x", "--calibration_table", "table", "--model", "t.bmodel"];
    desk.fails("model_deploy", &deploy, 1, "layer 'y_Rleu' is not in the model; the nearest is 'y_Relu'");
    desk.write("table", b"x 1.0 0.0\n");
    desk.fails("model_deploy", &deploy, 1, "line 1");
    assert!(!desk.path("t.bmodel").exists() && !desk.path("n.mlir").exists());
}

#[test]
fn calibration_says_what_is_wrong_with_samples() {
    let desk = tiny();
    let sample = |folder: &str, name: &str, values: [f32; 4]| {
        std::fs::create_dir_all(desk.path(folder)).unwrap();
        let tensor = Tensor::f32(&[1, 4], values.to_vec()).unwrap();
        npz::write_npz(&desk.path(folder).join(name), [("x", &tensor)].into_iter()).unwrap();
    };
    sample("good", "a.npz", [1.0, -2.0, 3.0, 0.5]);
    sample("good", "b.npz", [0.5, 0.25, -1.0, 2.0]);
    sample("nan", "a.npz", [1.0, f32::NAN, 0.0, 0.0]);
    sample("zeros", "a.npz", [0.0; 4]);
    sample("constant", "a.npz", [0.5; 4]);
    sample("mixed", "a.npz", [1.0; 4]);
    desk.write("mixed/b.npy", b"");
    desk.npz("good.npz", &[("x", &[1.0; 3])]);
    std::fs::create_dir_all(desk.path("empty")).unwrap();
    desk.write("list", b"good/a.npz\ngood/c.npz\ngood/b.npz\ngood/d.npz\n");
    desk.write("short", b"good.npz\n");
    let fails = |more: &[&str], code, expected: &str| desk.fails("run_calibration", &[&["tiny.mlir", "-o", "t", "--quiet"], more].concat(), code, expected);
    fails(&["--dataset", "empty"], 1, "empty: no sample files in this directory");
    fails(&["--dataset", "nan"], 1, "sample 0 (nan/a.npz): tensor 'x' has an element that is infinite or not a number");
    fails(&["--dataset", "mixed"], 1, "samples must be of one kind");
    fails(&["--data_list", "list"], 1, "2 of the listed files are missing: line 2: good/c.npz line 4: good/d.npz");
    fails(&["--data_list", "short"], 1, "has shape [3], expected [1, 4]");
    fails(&["--dataset", "good", "--tune_list", "nowhere"], 1, "nowhere: no such file");
    fails(&["--dataset", "good", "--debug_cmd", "input_calibration_table=nowhere"], 1, "nowhere: no such file");
    assert!(!desk.path("t").exists());

    let warned = |more: &[&str], expected: &str| {
        let output = desk.output("run_calibration", &[&["tiny.mlir", "-o", "t", "--quiet"], more].concat());
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && err.contains(expected), "{more:?}: {err}");
    };
    warned(&["--dataset", "zeros"], "warning: layer x is all zeros in every sample");
    warned(&["--dataset", "constant"], "warning: layer x is 0.5 everywhere in every sample");
    warned(&["--dataset", "good", "--input_num", "9"], "--input_num asks for 9 samples, there are 2: all of them are used");
    let said = desk.runs("run_calibration", &["tiny.mlir", "-o", "t", "--dataset", "good", "--report", "r.html", "--debug_cmd", "print_debug_info;dump_list"]);
    assert!(said.contains("real input_num = 2") && said.contains("Tensors that lose most:") && said.contains("Tuning raised "), "{said}");
    assert!(desk.path("selected_image_list.txt").exists());
    let page = std::fs::read_to_string(desk.path("r.html")).unwrap();
    assert!(page.contains("<table class=sort>") && page.contains("percentile9999") && page.contains("aciq_laplace dB"));
}

/// The documented journey on a network of the kit, against what the reference made of it.
#[test]
fn kit_network_from_onnx_to_bmodel() {
    let Some(kit) = kit("mbv2_tiny") else { return };
    let desk = Desk::new();
    let file = |name: &str| kit.join(name).display().to_string();
    let arguments = std::fs::read_to_string(kit.join("transform_args")).unwrap();
    let test_input = file(std::fs::read_to_string(kit.join("test_input")).unwrap().trim());
    let onnx = file("mbv2_tiny.onnx");
    let mut transform = vec!["--model_name", "mbv2_tiny", "--model_def", &onnx, "--mlir", "n.mlir", "--test_input", &test_input, "--test_result", "top.npz"];
    transform.extend(arguments.split_whitespace());
    desk.runs("model_transform.py", &transform);
    let same = |ours: &str, theirs: &str, tolerance: &str| desk.runs("npz_tool.py", &["compare", ours, &file(theirs), "--tolerance", tolerance]);
    same("top.npz", "mbv2_tiny_top_outputs.npz", "0.99999,0.9999");
    same("mbv2_tiny_in_f32.npz", "mbv2_tiny_in_f32.npz", "1,1");

    desk.runs("run_calibration.py", &["n.mlir", "--dataset", &file("ds"), "--input_num", "12", "--cali_method", "use_kl", "--search", "false", "-o", "table", "--report", "table.html"]);
    let rows = |path: &Path| std::fs::read_to_string(path).unwrap().lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&desk.path("table")), rows(&kit.join("mbv2_tiny_cali_kl")));

    let search = ["n.mlir", "--dataset", &file("ds"), "--input_num", "12", "--processor", "bm1684x", "--search", "search_threshold", "--inference_num", "4", "-o", "st"];
    desk.runs("run_calibration.py", &search);
    let log = std::fs::read_to_string(desk.path("Search_Threshold")).unwrap();
    let name = log.split("optimal_method_name: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let winner = if name == "KL" { "st_KL_tune".to_owned() } else { format!("st_{name}.1") };
    assert_eq!(rows(&desk.path("st")), rows(&desk.path(&winner)), "{log}");
    assert_eq!(rows(&desk.path("st_KL_tune")), rows(&desk.path("table")));
    desk.fails("run_calibration", &[&search[..], &["--benchmark_method", "cosine"]].concat(), 2, "expected cos or snr");
    desk.fails("run_calibration", &[&search[..], &["--global_compare_layers", "a:0.5,b"]].concat(), 2, "either all layers have a weight or none");
    desk.fails("run_calibration", &[&search[..], &["--global_compare_layers", "nowhere", "--quiet"]].concat(), 1, "layer 'nowhere' is not in the network");
    desk.fails("run_calibration", &[&search[..], &["--chip", "cv184x"]].concat(), 2, "for --chip cv184x is not supported yet");

    let deploy = ["--mlir", "n.mlir", "--quantize", "INT8", "--processor", "bm1684x", "--calibration_table", "table", "--model", "n.bmodel"];
    let checks = ["--test_input", "mbv2_tiny_in_f32.npz", "--test_reference", "top.npz", "--tolerance", "0.97,0.75", "--compare_all", "--debug"];
    desk.runs("model_deploy.py", &[&deploy[..], &checks].concat());
    assert!(same("mbv2_tiny_bm1684x_int8_sym_tpu_outputs.npz", "mbv2_tiny_bm1684x_int8_sym_tpu_outputs.npz", "1,1").contains("30 equal"));
    assert!(same("mbv2_tiny_bm1684x_int8_sym_model_outputs.npz", "mbv2_tiny_bm1684x_int8_sym_model_outputs.npz", "1,1").contains("1 equal"));
    let strict = desk.output("model_deploy", &[&deploy[..], &["--test_input", "mbv2_tiny_in_f32.npz", "--test_reference", "top.npz", "--tolerance", "0.99999,0.99999", "--model", "strict.bmodel"]].concat());
    assert_eq!(strict.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&strict.stderr).contains("less similar to top.npz than --tolerance 0.99999,0.99999"));
    assert!(!desk.path("strict.bmodel").exists());
    // Both commands told their part of the one report.
    desk.runs("model_deploy", &[&deploy[..], &checks, &["--report", "table.html"]].concat());
    let report = std::fs::read_to_string(desk.path("table.html")).unwrap();
    ["id=\"thresholds\"", "id=\"similarity\"", "id=\"cycles-per-layer-estimated\""].iter().for_each(|id| assert_eq!(report.matches(id).count(), 1, "{id}"));

    assert!(desk.runs("model_tool", &["--info", "n.bmodel"]).contains("net 0: [mbv2_tiny]"));
    assert!(desk.runs("model_tool", &["--disassemble", "n.bmodel"]).contains("conv.normal"));
    assert!(desk.runs("model_tool", &["--check-hazards", "n.bmodel"]).contains("no hazards"));
    assert!(desk.runs("classify", &["--model", "n.bmodel", "--mlir", "n.mlir", "--input", &test_input, "--output", "seen.jpg"]).starts_with("Top-5"));
    assert!(desk.path("seen.jpg").exists());
}

/// New weights never replace the user's: they stand beside the table, and who is given the old network with the table takes the new one.
#[test]
fn calibration_with_new_weights() {
    let Some(kit) = kit("mbv2_tiny") else { return };
    let desk = Desk::new();
    for name in ["mbv2_tiny.mlir", "mbv2_tiny_top_f32_all_weight.npz"] {
        std::fs::copy(kit.join(name), desk.path(name)).unwrap();
    }
    let (ds, input) = (kit.join("ds").display().to_string(), kit.join("mbv2_tiny_in_f32.npz").display().to_string());
    let before = [std::fs::read(desk.path("mbv2_tiny.mlir")).unwrap(), std::fs::read(desk.path("mbv2_tiny_top_f32_all_weight.npz")).unwrap()];
    let strict = ["--expected_cos", "0.99999", "--min_layer_cos", "0.9999", "--bc_inference_num", "12"];
    let calibrate = |more: &[&str]| {
        let fixed = ["mbv2_tiny.mlir", "--dataset", &ds, "--input_num", "12", "-o", "table", "--quiet"];
        desk.runs("run_calibration.py", &[&fixed[..], more].concat());
    };
    let table = || CalibrationTable::read(&desk.path("table")).unwrap();
    calibrate(&[&["--bc"], &strict[..]].concat());
    assert_eq!((table().header.mlir.as_str(), table().header.adjusted_from.as_deref()), ("mbv2_tiny_bc.mlir", Some("mbv2_tiny.mlir")));
    calibrate(&[&["--we", "--bc"], &strict[..]].concat());
    assert_eq!(table().header.mlir, "mbv2_tiny_we.mlir", "no bias is corrected after --we");
    let first = [table().rows().to_vec(), Vec::new()];
    let weights = std::fs::read(desk.path("mbv2_tiny_we_top_f32_all_weight.npz")).unwrap();
    calibrate(&[&["--we", "--bc", "--threads", "1"], &strict[..]].concat());
    assert_eq!(table().rows(), first[0], "a second run gives the same");
    assert_eq!(std::fs::read(desk.path("mbv2_tiny_we_top_f32_all_weight.npz")).unwrap(), weights);
    assert_eq!([std::fs::read(desk.path("mbv2_tiny.mlir")).unwrap(), std::fs::read(desk.path("mbv2_tiny_top_f32_all_weight.npz")).unwrap()], before);
    let log = std::fs::read_to_string(desk.path("Weight_Equalization")).unwrap();
    assert!(log.starts_with("INFO:root:Cross Layer WE: n1_relu6_Clip --- n2_relu6_Clip Groups: 16 Iter: 1\n"), "{log}");
    assert!(std::fs::read_to_string(desk.path("Bias_Correction")).unwrap().contains("INFO:root:bias correction statistic:"));

    let deploy = |mlir: &str| desk.output("model_deploy", &["--mlir", mlir, "--quantize", "INT8", "--chip", "bm1684x", "--calibration_table", "table", "--test_input", &input, "--model", &format!("{mlir}.bmodel")]);
    let (old, new) = (deploy("mbv2_tiny.mlir"), deploy("mbv2_tiny_we.mlir"));
    assert!(String::from_utf8_lossy(&old.stderr).contains("note: table belongs to mbv2_tiny_we.mlir, made of mbv2_tiny.mlir"));
    assert!(new.status.success() && new.stderr.is_empty(), "{}", String::from_utf8_lossy(&new.stderr));
    std::fs::remove_file(desk.path("mbv2_tiny_we.mlir")).unwrap();
    desk.fails("model_deploy", &["--mlir", "mbv2_tiny.mlir", "--quantize", "INT8", "--chip", "bm1684x", "--calibration_table", "table", "--model", "x.bmodel"], 1, "table: belongs to 'mbv2_tiny_we.mlir', which is not beside it");
}

#[test]
fn options_of_new_weights_are_checked_before_the_work() {
    let desk = tiny();
    let run = |more: &[&str], expected: &str| desk.fails("run_calibration", &[&["tiny.mlir", "--dataset", ".", "-o", "t"], more].concat(), 2, expected);
    run(&["--bc", "--chip", "cv184x"], "--bc needs the INT8 network, which this version does not make for --chip cv184x; it does for: bm1684x");
    run(&["--bc", "--bc_inference_num", "-1"], "--bc_inference_num: -1 is negative");
    run(&["--bc", "--expected_cos", "1.5"], "--expected_cos: 1.5 is no similarity: at most 1");
    run(&["--we_skip_limited"], "--we_skip_limited belongs to --we");
    assert_eq!(desk.files(), ["tiny.mlir", "tiny_top_f32_all_weight.npz", "x.npz"]);
    let folder = desk.path("samples");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(desk.path("x.npz"), folder.join("x.npz")).unwrap();
    // Nothing to equalize and nothing to correct is no failure.
    desk.runs("run_calibration", &["tiny.mlir", "--dataset", "samples", "--we", "--bc", "-o", "t"]);
    assert!(std::fs::read_to_string(desk.path("Bias_Correction")).unwrap().contains("There is no Conv op with bias"));
    assert_eq!(desk.files(), ["Bias_Correction", "Weight_Equalization", "samples", "shape_pattern_qtable", "t", "tiny.mlir", "tiny_shape_ops", "tiny_top_f32_all_weight.npz", "x.npz"]);
}

/// The three searches on a network of the kit: their files, the documented words, and that a killed search goes on.
#[test]
fn searches_of_float_layers() {
    let Some(case) = kit("cnn_res") else { return };
    let desk = Desk::new();
    for file in ["cnn_res.mlir", "cnn_res_top_f32_all_weight.npz"] {
        std::fs::copy(case.join(file), desk.path(file)).unwrap();
    }
    let samples = case.join("ds").display().to_string();
    let search = ["cnn_res.mlir", "--dataset", &samples, "--input_num", "12", "--inference_num", "4", "--search", "search_qtable", "--quantize_table", "q", "--calibration_table", "c"];
    let with = |more: &[&'static str]| search.iter().copied().chain(more.iter().copied()).map(str::to_owned).collect::<Vec<_>>();
    let run = |more: &[&'static str]| desk.runs("run_calibration.py", &with(more).iter().map(String::as_str).collect::<Vec<_>>());
    // INT8 is good enough: a table without layers.
    assert!(run(&["--expected_cos", "0.9", "--processor", "bm1684x"]).contains("no need for mix precsion"));
    assert!(std::fs::read_to_string(desk.path("q")).unwrap().contains("# number of F16 layer: 0"));
    let found = run(&["--expected_cos", "0.99999", "--quantize_method_list", "KL,MSE", "--transformer", "False"]);
    for words in ["is 0 sensitive layer, loss is ", "run result:\nint8 outputs_cos:0.99", "Output mix quantization table to q", "success search qtable"] {
        assert!(found.contains(words), "{words}: {found}");
    }
    let table = |name: &str| std::fs::read_to_string(desk.path(name)).unwrap().lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let whole = (table("q"), table("new_cali_table.txt"));
    assert_eq!(whole.0.len(), 5);
    assert!(std::fs::read_to_string(desk.path("Search_Qtable")).unwrap().contains("INFO:root:start to handle layer: "));
    assert!(!desk.path("q.state").exists());
    let other = run(&["--expected_cos", "0.99999", "--quantize_method_list", "KL,MSE", "--threads", "1", "--memory", "0", "--resume"]);
    assert!(other.contains("success") && (table("q"), table("new_cali_table.txt")) == whole);
    desk.runs("run_qtable", &["cnn_res.mlir", "--dataset", &samples, "--calibration_table", "c", "--chip", "bm1684x", "--min_layer_cos", "0.9999", "--expected_cos", "0.99999", "-o", "q2"]);
    assert!(std::fs::read_to_string(desk.path("full_loss_table.txt")).unwrap().contains("No.0   : Layer: "));
    let sensitive = desk.runs("run_sensitive_layer", &["cnn_res.mlir", "--dataset", &samples, "--calibration_table", "c", "--processor", "bm1684x", "--expected_cos", "1", "-o", "q3"]);
    assert!(sensitive.contains("success sensitive layer search") && desk.path("c_Percentile9999_tune").exists());
    desk.fails("run_qtable", &["cnn_res.mlir", "--dataset", &samples, "--calibration_table", "c", "--chip", "bm1684", "--fp_type", "F16", "-o", "q"], 2, "'F16' is no float type of bm1684");
    desk.fails("run_qtable", &["cnn_res.mlir", "--dataset", &samples, "--calibration_table", "c", "--chip", "bm1684x", "--global_compare_layers", "fc_Gem", "-o", "q"], 2, "the nearest is 'fc_Gemm'");
    desk.fails("run_qtable", &["cnn_res.mlir", "--dataset", &samples, "--calibration_table", "c", "--chip", "bm1684x", "--expected_cos", "2", "-o", "q"], 2, "a number from 0 to 1");
}

/// Layers and order are those that version 1.30.2 of the reference chooses with the same samples.
#[test]
fn fast_search_chooses_what_the_reference_chooses() {
    let Some(case) = kit("mbv2_tiny") else { return };
    let desk = Desk::new();
    for file in ["mbv2_tiny.mlir", "mbv2_tiny_top_f32_all_weight.npz"] {
        std::fs::copy(case.join(file), desk.path(file)).unwrap();
    }
    let samples = case.join("ds").display().to_string();
    let search = ["mbv2_tiny.mlir", "--dataset", &samples, "--input_num", "12", "--inference_num", "4", "--expected_cos", "0.99999999", "--chip", "bm1684x"];
    let run = |more: &[&str]| desk.runs("run_calibration", &search.iter().chain(more).copied().collect::<Vec<_>>());
    run(&["--search", "fast_search", "--quantize_table", "q", "-o", "t", "--report", "r.html"]);
    let table = std::fs::read_to_string(desk.path("q")).unwrap();
    let layers: Vec<&str> = table.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.strip_suffix(" F16")).collect();
    let reference = [
        "n6_conv_Conv", "res9_Add", "n22_relu6_Clip", "n18_conv_Conv", "fc_Gemm", // first round
        "n21_conv_Conv", "gap_GlobalAveragePool", "n12_conv_Conv", "res15_Add", "n17_relu6_Clip",
    ];
    assert_eq!(layers, reference);
    assert!(std::fs::read_to_string(desk.path("r.html")).unwrap().contains("Search_Qtable: loss per layer"));
    // The table that is there is used again, with one thread and no memory.
    run(&["--search", "fast_search", "--quantize_table", "again", "-o", "t", "--threads", "1", "--memory", "0"]);
    let rows = |text: &str| text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&std::fs::read_to_string(desk.path("again")).unwrap()), rows(&table));
    // The op types that lose by themselves.
    run(&["--search", "search_qtable", "--op_type_screening", "--expected_cos", "0.99999", "--quantize_method_list", "KL,MSE", "--quantize_table", "q2", "-o", "t2"]);
    let log = std::fs::read_to_string(desk.path("Search_Qtable")).unwrap();
    assert!(log.contains("sensitive_op_type : ['top.Conv', 'top.MatMul'],"), "{log}");
}
