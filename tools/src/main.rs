//! One binary, many names: the documented commands (with and without `.py`), by the name it is started under or as
//! `tpuc COMMAND ...`.

mod adjusted;
mod calibration;
mod classify;
mod cli;
mod compare;
mod demo_table;
mod deploy;
mod detect_yolov3;
#[cfg(test)]
mod docs;
mod fp_forward;
mod inputs;
mod later;
mod log;
mod measure;
mod mixed;
mod mlir2onnx;
mod model_runner;
mod model_tool;
mod network;
mod npz_tool;
mod opt;
mod progress;
mod report;
mod run;
mod transform;

use clap::CommandFactory;
use cli::Failure;
use std::process::ExitCode;

/// A command: its documented name, what it is for, and its body.
struct Command {
    name: &'static str,
    summary: &'static str,
    run: fn(Vec<String>) -> Result<(), Failure>,
    /// Its command line, where it has one of its own: for the pages of the documentation.
    #[cfg_attr(not(test), expect(dead_code))]
    describe: Option<fn() -> clap::Command>,
}

const COMMANDS: &[Command] = &[
    Command { name: "model_transform", summary: "import a trained network as Top MLIR", run: transform::run, describe: Some(<transform::Arguments as CommandFactory>::command) },
    Command { name: "run_calibration", summary: "find the threshold of every tensor from samples", run: calibration::run, describe: Some(<calibration::arguments::Arguments as CommandFactory>::command) },
    Command { name: "fp_forward", summary: "a quantize table of the layers around given ones", run: fp_forward::run, describe: Some(<fp_forward::Arguments as CommandFactory>::command) },
    Command { name: "model_deploy", summary: "lower a Top network and write a bmodel", run: deploy::run, describe: Some(<deploy::Arguments as CommandFactory>::command) },
    Command { name: "model_runner", summary: "run a model on given inputs", run: model_runner::run, describe: Some(<model_runner::Arguments as CommandFactory>::command) },
    Command { name: "npz_tool", summary: "compare and edit npz files", run: npz_tool::run, describe: Some(<npz_tool::Arguments as CommandFactory>::command) },
    Command { name: "classify", summary: "what a classifier sees in a photograph", run: classify::run, describe: Some(<classify::Arguments as CommandFactory>::command) },
    Command { name: "classify_mobilenet_v2", summary: "classify, with the preprocessing of MobileNetV2", run: classify::run, describe: Some(<classify::Arguments as CommandFactory>::command) },
    Command { name: "model_tool", summary: "look into bmodels, check and combine them", run: model_tool::run, describe: Some(<model_tool::Arguments as CommandFactory>::command) },
    Command { name: "demo_table", summary: "a float classifier beside its bmodel, on labelled photographs", run: demo_table::run, describe: Some(<demo_table::Arguments as CommandFactory>::command) },
    Command { name: "measure", summary: "time of a run and estimated cycles of a model", run: measure::run, describe: Some(<measure::Arguments as CommandFactory>::command) },
    Command { name: "tpuc-opt", summary: "run passes on MLIR files", run: opt::run, describe: None },
    Command { name: "run_qtable", summary: "a quantize table of layers that INT8 takes far from the float network", run: mixed::walk::run, describe: Some(<mixed::walk::Arguments as CommandFactory>::command) },
    Command { name: "run_sensitive_layer", summary: "find the layers that lose most in INT8", run: mixed::sensitive::run, describe: Some(<mixed::sensitive::Arguments as CommandFactory>::command) },
    Command { name: "mlir2onnx", summary: "a network as an ONNX graph to look at", run: mlir2onnx::run, describe: Some(<mlir2onnx::Arguments as CommandFactory>::command) },
    Command { name: "detect_yolov3", summary: "what a YOLOv3 finds in a photograph", run: detect_yolov3::run, describe: Some(<detect_yolov3::Arguments as CommandFactory>::command) },
    Command { name: "tpu_perf.precision_benchmark", summary: "not in this version yet", run: later::run, describe: None },
];

/// Tensors come and go by the megabyte: this one keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    fn mi_collect(force: bool);
    fn mi_option_set(option: libc::c_int, value: libc::c_long);
}

/// `mi_option_purge_delay`: milliseconds after which free memory goes back to the system.
const PURGE_DELAY: libc::c_int = 15;

/// Gives the system back what is free, now, and from now on as soon as it is: who asks is short of memory.
fn collect() {
    // SAFETY: of the allocator above; both may be called at any time from any thread.
    unsafe {
        mi_option_set(PURGE_DELAY, 0);
        mi_collect(true);
    }
}

fn main() -> ExitCode {
    // The children that host the vendor's runtime, try bytecode and run a user's post-process are this same binary.
    tpuc_runtime::child_main_if_requested();
    tpuc_dialects::probe::child_main_if_requested();
    tpuc_quant::post_process::library::child_main_if_requested();
    tpuc_quant::memory::set_collect(collect);
    let mut arguments: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    if arguments.is_empty() {
        arguments.push("tpuc".into());
    }
    let mut name = cli::program_name(&arguments[0]);
    if name == "tpuc" && arguments.len() > 1 {
        arguments.remove(0);
        name = cli::program_name(&arguments[0]);
    }
    arguments[0] = name.clone();
    explain_panics(if name.starts_with('-') { "tpuc" } else { &name });
    // `tpuc help model_deploy` is `model_deploy --help`.
    if name == "help" && arguments.len() > 1 {
        name = cli::program_name(&arguments[1]);
        arguments = vec![name.clone(), "--help".into()];
    }
    let Some(command) = COMMANDS.iter().find(|c| c.name == name) else {
        return help(&name);
    };
    let json = arguments.iter().any(|a| a == "--json");
    clean_up_when_interrupted(&name);
    match std::panic::catch_unwind(|| (command.run)(arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            cli::remove_empty_folders();
            cli::report(&name, &failure, json)
        }
        // The hook has said what happened.
        Err(_) => ExitCode::FAILURE,
    }
}

/// The exit codes that shells give for a program ended by a closed pipe and by an interrupt.
const BROKEN_PIPE: i32 = 141;
const INTERRUPTED: i32 = 130;

/// Ctrl-C, a hang-up or a polite kill leave no half-written file behind.
fn clean_up_when_interrupted(name: &str) {
    let name = name.to_owned();
    // Without a handler the signals end the program as they always do.
    let _ = ctrlc::set_handler(move || {
        tpuc_tensor::file::remove_temporaries();
        cli::remove_empty_folders();
        eprintln!("{name}: interrupted");
        // SAFETY: ends the process at once: destructors of the C++ libraries would run beside threads that still work.
        unsafe { libc::_exit(INTERRUPTED) }
    });
}

/// A mistake of ours is one line too; and who closes the pipe that we print to (`| head`) has seen enough.
fn explain_panics(name: &str) {
    let name = name.to_owned();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or("unknown");
        if text.starts_with("failed printing to stderr") || (text.starts_with("failed printing to") && text.contains("Broken pipe")) {
            std::process::exit(BROKEN_PIPE);
        }
        if let Some(reason) = text.strip_prefix("failed printing to stdout: ") {
            eprintln!("{name}: error: standard output: cannot write: {reason}");
            std::process::exit(1);
        }
        let place = panic.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        eprintln!("{name}: internal error: {}{place}", text.replace('\n', " "));
    }));
}

fn help(name: &str) -> ExitCode {
    let list = || COMMANDS.iter().map(|c| format!("  {:<24}{}", c.name, c.summary)).collect::<Vec<_>>().join("\n");
    if matches!(name, "tpuc" | "help" | "--help" | "-h") {
        println!("tpuc {}: a compiler for Sophgo TPUs\n\nUsage: tpuc COMMAND [OPTIONS], or a command by its own name\n\n{}\n\ntpuc help COMMAND, or COMMAND --help, tells more", env!("CARGO_PKG_VERSION"), list());
        return ExitCode::SUCCESS;
    }
    if matches!(name, "--version" | "-V") {
        println!("tpuc {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    if name == "--list" {
        COMMANDS.iter().for_each(|c| println!("{}", c.name));
        return ExitCode::SUCCESS;
    }
    let nearest = tpuc_tensor::text::nearest(name, COMMANDS.iter().map(|c| c.name));
    let hint = nearest.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
    eprintln!("tpuc: error: unknown command '{name}'{hint} (tpuc --help lists them)");
    ExitCode::from(2)
}
