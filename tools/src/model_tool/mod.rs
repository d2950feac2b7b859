//! `model_tool`: what is inside a bmodel, and files of several.

mod edit;
mod inspect;

use crate::cli::{self, Failure, Talk};
use crate::network::extension;
use serde_json::json;
use std::path::{Path, PathBuf};
use tpuc_bmodel::{Blob, CmdGroup, Model};
use tpuc_isa::bm1684x::{self, DecodeError, Header};

/// Look into bmodels, check, combine and change them.
#[derive(clap::Parser)]
#[command(name = "model_tool", after_help = concat!(include_str!("../../help/model_tool.txt"), include_str!("../../help/common.txt")), version, args_override_self = true, rename_all = "snake_case")]
#[command(group(clap::ArgGroup::new("action").args([
    "info", "print", "chip", "dynamic", "weight", "disassemble", "check_hazards", "combine", "combine_dir", "combine_coeff", "extract", "refresh", "dump",
    "update_weight", "kernel_dump", "kernel_update", "kernel_remove",
])))]
pub struct Arguments {
    /// Chip, nets, inputs and outputs, memory sizes
    #[arg(long, value_name = "FILE")]
    info: Option<PathBuf>,
    /// With --info: everything that --print shows
    #[arg(long)]
    all: bool,
    /// The same, and addresses, commands and weights
    #[arg(long, value_name = "FILE")]
    print: Option<PathBuf>,
    /// The chip
    #[arg(long, value_name = "FILE")]
    chip: Option<PathBuf>,
    /// Whether a net of the file decides its shapes when it runs: true or false
    #[arg(long, value_name = "FILE")]
    dynamic: Option<PathBuf>,
    /// Where each weight is in the coefficients
    #[arg(long, value_name = "FILE")]
    weight: Option<PathBuf>,
    /// Every instruction of both engines as text
    #[arg(long, value_name = "FILE")]
    disassemble: Option<PathBuf>,
    /// Prove that no two conflicting accesses of the engines are unordered
    #[arg(long = "check-hazards", alias = "check_hazards", value_name = "FILE")]
    check_hazards: Option<PathBuf>,
    /// Put several bmodels of one chip into one (with -o FILE)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    combine: Vec<PathBuf>,
    /// The same for folders that hold compilation.bmodel and its reference data (with -o FOLDER)
    #[arg(long, value_name = "FOLDER", num_args = 1..)]
    combine_dir: Vec<PathBuf>,
    /// Put several bmodels with the same coefficients into one (with -o FILE)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    combine_coeff: Vec<PathBuf>,
    /// Write each stage of each net as a file of its own, bm_net<N>_stage<S>.bmodel (to the folder of -o)
    #[arg(long, value_name = "FILE")]
    extract: Option<PathBuf>,
    /// Read the file and write it anew (in place, or with -o)
    #[arg(long, value_name = "FILE")]
    refresh: Option<PathBuf>,
    /// Write a part of the file's binary data to a file
    #[arg(long, num_args = 4, value_names = ["FILE", "OFFSET", "BYTES", "OUTPUT"])]
    dump: Vec<String>,
    /// Replace the weight at an offset of a net's coefficients by one of another file (in place, or with -o)
    #[arg(long, num_args = 6, value_names = ["FILE", "NET", "OFFSET", "SOURCE", "SOURCE_NET", "SOURCE_OFFSET"])]
    update_weight: Vec<String>,
    /// Write the vendor's firmware that is in a file (with -o FILE)
    #[arg(long, value_name = "FILE")]
    kernel_dump: Option<PathBuf>,
    /// Put firmware into a file (in place, or with -o)
    #[arg(long, num_args = 2, value_names = ["FILE", "FIRMWARE"])]
    kernel_update: Vec<PathBuf>,
    /// Take the vendor's firmware out of a file (in place, or with -o)
    #[arg(long, value_name = "FILE")]
    kernel_remove: Option<PathBuf>,
    /// The file or folder to write
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    talk: Talk,
}

const LATER: &[&str] = &["--encrypt", "--decrypt", "--cpuop_dump", "--cpuop_update", "--cpuop_remove"];

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    cli::refuse_later(&arguments, LATER)?;
    let arguments = cli::parse::<Arguments>(arguments)?;
    let talk = arguments.talk;
    if let Some(path) = &arguments.info {
        inspect::info(path, arguments.all, talk)
    } else if let Some(path) = &arguments.print {
        inspect::info(path, true, talk)
    } else if let Some(path) = &arguments.chip {
        let model = read(path)?;
        talk.say(&model.chip);
        talk.result("model_tool", true, json!({ "file": path, "chip": model.chip }));
        Ok(())
    } else if let Some(path) = &arguments.dynamic {
        let dynamic = read(path)?.nets.iter().flat_map(|n| &n.stages).any(|s| s.is_dynamic);
        talk.say(dynamic);
        talk.result("model_tool", true, json!({ "file": path, "dynamic": dynamic }));
        Ok(())
    } else if let Some(path) = &arguments.weight {
        inspect::weights(path, talk)
    } else if let Some(path) = &arguments.disassemble {
        inspect::disassemble(path, talk)
    } else if let Some(path) = &arguments.check_hazards {
        inspect::check_hazards(path, talk)
    } else {
        edit::run(&arguments, talk)
    }
}

/// What to say where no action is given.
pub const ACTIONS: &str = "nothing to do: give --info FILE, --print FILE, --combine FILES -o FILE or another action (--help lists them)";

pub fn read(path: &Path) -> Result<Model, Failure> {
    if extension(path) == "cvimodel" {
        return Err(cli::not_yet("cvimodel"));
    }
    tpuc_bmodel::read_owned(tpuc_tensor::file::read(path)?).map_err(|e| Failure::work(format!("{}: {e}", path.display())))
}

/// A group of commands and where it is in the model.
pub struct Place<'m> {
    pub name: String,
    pub group: &'m CmdGroup,
}

pub fn groups(model: &Model) -> Vec<Place<'_>> {
    let mut list = Vec::new();
    for net in &model.nets {
        for (s, stage) in net.stages.iter().enumerate() {
            let place = |rest: String| format!("net {} stage {s} {rest}", net.name);
            list.extend(stage.groups.iter().enumerate().map(|(g, group)| Place { name: place(format!("group {g}")), group }));
            for (n, subnet) in stage.subnets.iter().enumerate() {
                for (c, core) in subnet.cores.iter().enumerate() {
                    list.extend(core.groups.iter().enumerate().map(|(g, group)| Place { name: place(format!("subnet {n} core {c} group {g}")), group }));
                }
            }
        }
    }
    list
}

pub fn check_chip(model: &Model) -> Result<(), String> {
    if model.chip == bm1684x::CHIP.name { Ok(()) } else { Err(format!("instructions of {} are not supported yet, only those of {}", model.chip, bm1684x::CHIP.name)) }
}

/// Decodes the command that a stream starts with.
pub type Decoder<I> = fn(&[u8]) -> Result<(Header, I), DecodeError>;

/// The `count` commands of a stream.
pub fn decode<I>(engine: &str, stream: &Blob, count: u32, decode: Decoder<I>) -> Result<Vec<(Header, I)>, String> {
    let mut rest: &[u8] = stream;
    let mut list = Vec::new();
    for index in 0..count {
        let (header, inst) = decode(rest).map_err(|e| format!("{engine} command {index}: {e}"))?;
        rest = rest.get(header.length..).filter(|_| header.length > 0).ok_or_else(|| format!("{engine} command {index} reaches over the end of its stream"))?;
        list.push((header, inst));
    }
    Ok(list)
}
