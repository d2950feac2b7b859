//! The searches of mixed precision: killed ones, and their memory.

use crate::{Desk, kit};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

impl Desk {
    /// The lines of files of the folder, but for comments, which name the time; none of a file that is not there.
    fn rows(&self, names: &[&str]) -> Vec<Vec<String>> {
        let text = |name: &&str| std::fs::read_to_string(self.path(name)).unwrap_or_default();
        names.iter().map(text).map(|text| text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect()).collect()
    }

    fn network(&self, case: &Path, name: &str) {
        for file in [format!("{name}.mlir"), format!("{name}_top_f32_all_weight.npz")] {
            std::fs::copy(case.join(&file), self.path(&file)).unwrap();
        }
    }
}

/// Kills a search at ten moments, each time going on where it was, and then lets it end: it writes what it writes undisturbed.
fn goes_on_after_ten_kills(command: &str, arguments: &[&str], written: &[&str]) {
    let Some(case) = kit("cnn_res") else { return };
    let desk = Desk::new();
    desk.network(&case, "cnn_res");
    std::fs::copy(case.join("cnn_res_cali_kl"), desk.path("start")).unwrap();
    let samples = case.join("ds").display().to_string();
    let all = [&["cnn_res.mlir", "--dataset", &samples, "--chip", "bm1684x", "--expected_cos", "0.99999", "--quiet", "--resume"], arguments].concat();
    let start = Instant::now();
    desk.runs(command, &all);
    let whole = start.elapsed();
    let expected = desk.rows(written);
    assert!(expected.iter().all(|rows| !rows.is_empty()), "{expected:?}");
    let forget = || written.iter().for_each(|name| std::fs::remove_file(desk.path(name)).unwrap_or_default());
    forget();
    let (mut random, mut resumed) = (command.len() as u64, 0);
    for _ in 0..10 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mut child = Command::new(desk.path(command)).args(&all).current_dir(desk.path(".")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * ((random >> 33) % 1000) as u32 / 1000);
        // On Unix this is SIGKILL.
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            // It was over before.
            assert_eq!(desk.rows(written), expected);
            forget();
        }
        resumed += usize::from(desk.path("q.state").exists());
    }
    desk.runs(command, &all);
    assert_eq!(desk.rows(written), expected);
    println!("{command}: {} ms, went on {resumed} times", Duration::as_millis(&whole));
    assert!(resumed > 0 && !desk.path("q.state").exists());
}

#[test]
fn killed_search_qtable() {
    let arguments = ["--input_num", "12", "--inference_num", "10", "--search", "search_qtable", "--quantize_method_list", "KL,MSE", "--quantize_table", "q", "-o", "c"];
    goes_on_after_ten_kills("run_calibration", &arguments, &["q", "new_cali_table.txt", "c"]);
}

#[test]
fn killed_run_sensitive_layer() {
    goes_on_after_ten_kills("run_sensitive_layer", &["--input_num", "12", "--inference_num", "10", "--calibration_table", "start", "-o", "q"], &["q", "new_cali_table.txt"]);
}

#[test]
fn killed_run_qtable() {
    goes_on_after_ten_kills("run_qtable", &["--input_num", "10", "--min_layer_cos", "0.99999", "--calibration_table", "start", "-o", "q"], &["q", "full_loss_table.txt"]);
}

/// The largest resident set of a command that succeeds, in bytes, and what it printed.
fn peak(desk: &Desk, command: &str, arguments: &[&str]) -> (u64, String) {
    let child = Command::new(desk.path(command)).args(arguments).current_dir(desk.path(".")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let mut status = 0;
    // SAFETY: both are valid to write; the child is waited for nowhere else.
    let waited = unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, usage.as_mut_ptr()) };
    assert_eq!((waited, status), (child.id() as libc::pid_t, 0), "{command} {arguments:?}");
    let said = std::io::read_to_string(child.stderr.unwrap()).unwrap();
    // SAFETY: filled in by the call above.
    (unsafe { usage.assume_init() }.ru_maxrss as u64 * 1024, said)
}

/// What `--memory` says is the most that the process takes, and changes nothing else; where that cannot be, it says so before.
#[test]
fn memory_is_a_limit() {
    let model = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/models/efficientnet_lite0.onnx"));
    let photographs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/photos/calibration200")).display().to_string();
    if !model.exists() {
        return println!("skipped: {} is not there", model.display());
    }
    let desk = Desk::new();
    let shape = ["--input_shapes", "[[1,3,224,224]]", "--mean", "127,127,127", "--scale", "0.0078125,0.0078125,0.0078125", "--pixel_format", "rgb"];
    desk.runs("model_transform", &[&["--model_name", "net", "--model_def", &model.display().to_string(), "--mlir", "net.mlir"], &shape[..]].concat());
    desk.runs("run_calibration", &["net.mlir", "--dataset", &photographs, "--input_num", "2", "--cali_method", "use_max", "-o", "table"]);
    let search = ["net.mlir", "--dataset", &photographs, "--input_num", "8", "--calibration_table", "table", "--chip", "bm1684x", "--expected_cos", "0.9999", "--min_layer_cos", "0.999", "-o", "q"];
    desk.runs("run_qtable", &search);
    let expected = desk.rows(&["q", "full_loss_table.txt"]);
    for (memory, bytes) in [("250M", 250 << 20), ("220M", 220 << 20)] {
        let (found, said) = peak(&desk, "run_qtable", &[&search[..], &["--memory", memory]].concat());
        println!("{memory}: {} MiB", found >> 20);
        assert!(found <= bytes && !said.contains("--memory"), "{memory}: {found} {said}");
        assert_eq!(desk.rows(&["q", "full_loss_table.txt"]), expected, "{memory}");
    }
    let one = [&search[..], &["--input_num", "1"]].concat();
    desk.runs("run_qtable", &one);
    let expected = desk.rows(&["q", "full_loss_table.txt"]);
    let (_, said) = peak(&desk, "run_qtable", &[&one[..], &["--memory", "50M"]].concat());
    assert!(said.contains("run_qtable: warning: --memory: 50 MiB are too few, about "), "{said}");
    assert_eq!(desk.rows(&["q", "full_loss_table.txt"]), expected);
}
