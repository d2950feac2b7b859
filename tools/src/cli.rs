//! What all commands share: names, errors and exit codes, lists in options.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Why a command ends without success.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong: exit code 2.
    Usage(String),
    /// The work could not be done: exit code 1.
    Work(String),
    /// Everything has been said already; only the exit code is left.
    Said(u8),
}

impl Failure {
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure::Usage(text.into())
    }

    pub fn work(error: impl std::fmt::Display) -> Failure {
        Failure::Work(error.to_string())
    }
}

macro_rules! work_from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::Work(error.to_string())
            }
        }
    )*};
}
work_from!(
    tpuc_bmodel::BmodelError,
    tpuc_codegen::CodegenError,
    tpuc_dialects::ModuleError,
    tpuc_frontend::ImportError,
    tpuc_imageio::ImageError,
    tpuc_imageio::PreprocessError,
    tpuc_interp::InterpError,
    tpuc_runtime::RunError,
    tpuc_tensor::file::FileError,
);

/// One line on stderr and the exit code.
pub fn report(program: &str, failure: &Failure) -> ExitCode {
    let line = |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ");
    match failure {
        Failure::Usage(text) => {
            eprintln!("{program}: error: {}", line(text));
            ExitCode::from(2)
        }
        Failure::Work(text) => {
            eprintln!("{program}: error: {}", line(text));
            ExitCode::from(1)
        }
        Failure::Said(code) => ExitCode::from(*code),
    }
}

/// `/usr/bin/model_deploy.py` -> `model_deploy`.
pub fn program_name(argument: &str) -> String {
    let base = Path::new(argument).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    base.strip_suffix(".py").map_or(base.clone(), str::to_owned)
}

/// Parses a command line with clap. Help and version are printed and end the program; an error becomes one line.
pub fn parse<A: clap::Parser>(arguments: Vec<String>) -> Result<A, Failure> {
    A::try_parse_from(arguments).map_err(|error| {
        if !error.use_stderr() {
            let _ = error.print();
            return Failure::Said(0);
        }
        let text = error.to_string();
        let body = text.split("\n\nUsage:").next().unwrap_or(&text).split("\n\nFor more information").next().unwrap_or("");
        Failure::usage(body.trim_start_matches("error: "))
    })
}

/// Refuses options that the documents have and this version does not: one line that says so, instead of "unexpected argument".
pub fn refuse_later(arguments: &[String], later: &[&str]) -> Result<(), Failure> {
    let name = |a: &String| a.split('=').next().unwrap_or_default().to_owned();
    match arguments.iter().skip(1).map(name).find(|a| later.contains(&a.as_str())) {
        Some(option) => Err(not_yet(&option)),
        None => Ok(()),
    }
}

/// A documented thing that comes with a later version.
pub fn not_yet(what: &str) -> Failure {
    Failure::usage(format!("{what} is not supported yet"))
}

/// An input file that must be there before any work is done.
pub fn check_input(path: &Path) -> Result<(), Failure> {
    let fail = |e: std::io::Error| Failure::work(format!("{}: {}", path.display(), tpuc_tensor::file::io_reason(&e)));
    if path.is_dir() {
        return Err(Failure::work(format!("{}: is a directory, expected a file", path.display())));
    }
    std::fs::File::open(path).map(drop).map_err(fail)
}

/// `a,b,c` as a list without empty entries.
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// `1.5,2,3` as numbers; the error names the option.
pub fn numbers(option: &str, text: &str) -> Result<Vec<f64>, Failure> {
    let number = |s: &str| s.parse::<f64>().ok().filter(|v| v.is_finite());
    let parse = |s: String| number(&s).ok_or_else(|| Failure::usage(format!("{option}: '{s}' is not a number")));
    list(text).into_iter().map(parse).collect()
}

/// `256,256`: height and width in pixels.
pub fn height_width(option: &str, text: &str) -> Result<[usize; 2], Failure> {
    let side = |v: f64| ((1.0..=65535.0).contains(&v) && v.fract() == 0.0).then_some(v as usize);
    match numbers(option, text)?.as_slice() {
        &[h, w] => side(h).zip(side(w)).map(|(h, w)| [h, w]),
        _ => None,
    }
    .ok_or_else(|| Failure::usage(format!("{option}: '{text}' should be height,width")))
}

/// `cos,euc`: two similarities, each at most 1.
pub fn tolerance(text: &str) -> Result<(f64, f64), Failure> {
    match numbers("--tolerance", text)?.as_slice() {
        &[cosine, euclidean] | &[cosine, euclidean, _] if cosine <= 1.0 && euclidean <= 1.0 && cosine >= -1.0 => Ok((cosine, euclidean)),
        _ => Err(Failure::usage(format!("--tolerance: '{text}' should be two numbers, cosine and euclidean similarity, such as 0.99,0.90"))),
    }
}

/// The user said yes or no in one of the documents' ways.
pub fn boolean(option: &str, text: &str) -> Result<bool, Failure> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Failure::usage(format!("{option}: '{text}' should be True or False"))),
    }
}

/// Finds out before the work whether a file can be written at its place; makes missing folders.
pub fn check_output(path: &Path) -> Result<(), Failure> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let fail = |e: std::io::Error| Failure::work(format!("{}: cannot write there: {}", path.display(), tpuc_tensor::file::io_reason(&e)));
    std::fs::create_dir_all(&folder).map_err(fail)?;
    if path.is_dir() {
        return Err(Failure::work(format!("{}: is a directory, expected a file name", path.display())));
    }
    let probe = folder.join(format!(".tpuc-{}.probe", std::process::id()));
    std::fs::File::create(&probe).map_err(fail)?;
    std::fs::remove_file(&probe).map_err(fail)
}
