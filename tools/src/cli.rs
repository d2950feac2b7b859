//! What all commands share: names, errors and exit codes, lists in options.

use clap::error::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

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
impl From<tpuc_frontend::ImportError> for Failure {
    fn from(error: tpuc_frontend::ImportError) -> Failure {
        match error {
            // What the command line says does not fit the model.
            tpuc_frontend::ImportError::Option { reason } => Failure::Usage(reason),
            other => Failure::Work(other.to_string()),
        }
    }
}

work_from!(
    tpuc_bmodel::BmodelError,
    tpuc_codegen::CodegenError,
    tpuc_dialects::ModuleError,
    tpuc_imageio::ImageError,
    tpuc_imageio::PreprocessError,
    tpuc_interp::InterpError,
    tpuc_runtime::RunError,
    tpuc_tensor::file::FileError,
);

/// One line on stderr and the exit code; with `--json` the same as an object on stdout.
pub fn report(program: &str, failure: &Failure, json: bool) -> ExitCode {
    let (text, code) = match failure {
        Failure::Usage(text) => (text, 2),
        Failure::Work(text) => (text, 1),
        Failure::Said(code) => return ExitCode::from(*code),
    };
    let text = one_line(text);
    eprintln!("{program}: error: {text}");
    if json {
        println!("{}", serde_json::json!({ "command": program, "ok": false, "exit_code": code, "error": text }));
    }
    ExitCode::from(code)
}

/// A text without line breaks and control characters (names in hostile files have them).
pub fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ");
    lines.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// How a command tells its results: as text, not at all, or as one JSON object.
#[derive(clap::Args, Debug, Clone, Copy, Default)]
pub struct Talk {
    /// Print nothing but errors
    #[arg(long, global = true)]
    pub quiet: bool,
    /// Print the result as one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,
}

impl Talk {
    /// No text is wanted.
    pub fn is_silent(self) -> bool {
        self.quiet || self.json
    }

    /// A line of text for people.
    pub fn say(self, text: impl std::fmt::Display) {
        if !self.is_silent() {
            println!("{text}");
        }
    }

    /// The result for programs: `fields` (an object), behind the command's name and `"ok"`.
    pub fn result(self, command: &str, ok: bool, fields: serde_json::Value) {
        if self.json {
            let mut object = serde_json::Map::new();
            object.insert("command".into(), command.into());
            object.insert("ok".into(), ok.into());
            if let serde_json::Value::Object(fields) = fields {
                object.extend(fields);
            }
            println!("{}", serde_json::Value::Object(object));
        }
    }
}

/// A number for JSON, which knows no infinities: they become texts, `"inf"`, `"-inf"` and `"nan"`.
pub fn number(value: f64) -> serde_json::Value {
    serde_json::Number::from_f64(value).map_or_else(|| value.to_string().to_ascii_lowercase().into(), Into::into)
}

/// `/usr/bin/model_deploy.py` -> `model_deploy`.
pub fn program_name(argument: &str) -> String {
    let base = Path::new(argument).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    base.strip_suffix(".py").map_or(base.clone(), str::to_owned)
}

/// Parses a command line with clap. Help and version are printed and end the program; an error becomes one line.
pub fn parse<A: clap::Parser + clap::CommandFactory>(arguments: Vec<String>) -> Result<A, Failure> {
    A::try_parse_from(arguments).map_err(|error| {
        if !error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return match error.print() {
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Failure::work(format!("standard output: cannot write: {e}")),
                _ => Failure::Said(0),
            };
        }
        if matches!(error.kind(), ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
            let commands: Vec<_> = A::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
            return Failure::usage(format!("expected one of: {}", commands.join(", ")));
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

/// An option of the documents that this version does not have, and its values that ask for what happens anyway.
pub struct Later(pub &'static str, pub &'static [&'static str]);

/// Takes such options out of a command line where they ask for nothing new; one line says so where they do.
pub fn without_later(arguments: Vec<String>, later: &[Later]) -> Result<Vec<String>, Failure> {
    let mut kept = Vec::with_capacity(arguments.len());
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next() {
        let (name, value) = argument.split_once('=').map_or((argument.as_str(), None), |(n, v)| (n, Some(v.to_owned())));
        let Some(Later(option, harmless)) = later.iter().find(|l| l.0 == name) else {
            kept.push(argument);
            continue;
        };
        let value = value.or_else(|| if harmless.is_empty() { None } else { rest.next() });
        match value {
            Some(v) if harmless.iter().any(|h| h.eq_ignore_ascii_case(&v)) => {}
            Some(v) if !harmless.is_empty() => return Err(not_yet(&format!("{option} {v}"))),
            _ => return Err(not_yet(option)),
        }
    }
    Ok(kept)
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

/// Several input files in one option: `a.jpg,b.jpg`. What is a file as it stands is one, whatever its name.
pub fn files(texts: &[String]) -> Vec<String> {
    let split = |text: &String| if Path::new(text).is_file() { vec![text.clone()] } else { list(text) };
    texts.iter().flat_map(split).collect()
}

/// `a,b,c` as a list without empty entries.
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// Names that an option gives and that are not there: a warning, as scripts of other versions have such. `-` stands for none.
pub fn warn_of_unknown<'a>(talk: Talk, option: &str, names: &[String], known: impl Iterator<Item = &'a str> + Clone) {
    for name in names.iter().filter(|n| *n != "-" && !known.clone().any(|k| k == n.as_str())) {
        let nearest = tpuc_tensor::text::nearest(name, known.clone());
        let hint = nearest.map(|n| format!("; the nearest name is '{n}'")).unwrap_or_default();
        if !talk.quiet {
            eprintln!("warning: {option}: there is no tensor '{name}'{hint}");
        }
    }
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
pub fn tolerance(option: &str, text: &str) -> Result<(f64, f64), Failure> {
    match numbers(option, text)?.as_slice() {
        &[cosine, euclidean] | &[cosine, euclidean, _] if cosine <= 1.0 && euclidean <= 1.0 && cosine >= -1.0 => Ok((cosine, euclidean)),
        _ => Err(Failure::usage(format!("{option}: '{text}' should be two numbers of at most 1, cosine and euclidean similarity, such as 0.99,0.90"))),
    }
}

/// The chips of the documents.
const CHIPS: &[&str] =
    &["bm1684x", "bm1684", "bm1686", "bm1688", "bm1690", "bm1690e", "bm1684x2", "cv186x", "cv184x", "cv183x", "cv182x", "cv181x", "cv180x", "sg2262", "sg2380", "mars3", "sgtpuv8", "cpu"];

/// A chip by its name in any case of letters.
pub fn chip(name: &str) -> Result<&'static tpuc_lowering::Chip, Failure> {
    tpuc_lowering::Chip::find(name).map_err(|e| {
        let documented = CHIPS.contains(&name.to_ascii_lowercase().as_str());
        if documented { not_yet(&format!("--chip {name}")) } else { Failure::usage(format!("--chip: {e}")) }
    })
}

/// The user said yes or no in one of the documents' ways.
pub fn boolean(option: &str, text: &str) -> Result<bool, Failure> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Failure::usage(format!("{option}: '{text}' should be True or False"))),
    }
}

/// Folders that [`check_output`] made, inner ones first.
static MADE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the folders that were made for outputs that did not come.
pub fn remove_empty_folders() {
    for folder in MADE.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // What is in use stays.
        let _ = std::fs::remove_dir(folder);
    }
}

/// An error about a file, which is named once.
pub fn named(file: &Path, error: impl std::fmt::Display) -> Failure {
    let (file, text) = (file.display().to_string(), error.to_string());
    Failure::work(if text.contains(&file) { text } else { format!("{file}: {text}") })
}

/// Finds out before the work whether a file can be written at its place; makes missing folders.
pub fn check_output(path: &Path) -> Result<(), Failure> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let fail = |e: std::io::Error| Failure::work(format!("{}: cannot write there: {}", path.display(), tpuc_tensor::file::io_reason(&e)));
    if folder.exists() && !folder.is_dir() {
        return Err(Failure::work(format!("{}: cannot write there: {} is not a directory", path.display(), folder.display())));
    }
    let mut made: Vec<PathBuf> = folder.ancestors().take_while(|f| !f.as_os_str().is_empty() && !f.exists()).map(Path::to_path_buf).collect();
    std::fs::create_dir_all(&folder).map_err(fail)?;
    MADE.lock().unwrap_or_else(PoisonError::into_inner).append(&mut made);
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(Failure::work(format!("{}: is a directory, expected a file name", path.display()))),
        // A device or a pipe: written as it is.
        Ok(found) if !found.is_file() => return Ok(()),
        _ => {}
    }
    let probe = folder.join(format!(".tpuc-{}.probe", std::process::id()));
    std::fs::File::create(&probe).map_err(fail)?;
    std::fs::remove_file(&probe).map_err(fail)
}
