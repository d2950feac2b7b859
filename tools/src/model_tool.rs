//! `model_tool`: what is inside a bmodel.

use crate::cli::{self, Failure};
use crate::network::extension;
use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};
use tpuc_bmodel::{Blob, CmdGroup, Model};
use tpuc_isa::bm1684x::{self, DecodeError, Header, access, decode_dma, decode_tiu};
use tpuc_isa::bm1684x::print::listing_line;
use tpuc_isa::hazards;

/// Look into bmodels, check and combine them.
#[derive(clap::Parser)]
#[command(name = "model_tool", version, args_override_self = true)]
#[command(group(clap::ArgGroup::new("action").required(true).args(["info", "print", "disassemble", "check_hazards", "combine", "kernel_remove"])))]
struct Arguments {
    /// Chip, nets, inputs and outputs, memory sizes
    #[arg(long, value_name = "FILE")]
    info: Option<PathBuf>,
    /// The same, and addresses, commands and weights
    #[arg(long, value_name = "FILE")]
    print: Option<PathBuf>,
    /// Every instruction of both engines as text
    #[arg(long, value_name = "FILE")]
    disassemble: Option<PathBuf>,
    /// Prove that no two conflicting accesses of the engines are unordered
    #[arg(long = "check-hazards", alias = "check_hazards", value_name = "FILE")]
    check_hazards: Option<PathBuf>,
    /// Put several bmodels of one chip into one (with -o)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    combine: Vec<PathBuf>,
    /// Take the vendor's firmware out of a file (in place, or with -o)
    #[arg(long = "kernel_remove", value_name = "FILE")]
    kernel_remove: Option<PathBuf>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const LATER: &[&str] = &["--combine_dir", "--extract", "--dump", "--weight", "--encrypt", "--decrypt", "--kernel_dump", "--kernel_update", "--cpuop_dump", "--cpuop_update", "--cpuop_remove", "--combine_coeff"];

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    cli::refuse_later(&arguments, LATER)?;
    let arguments = cli::parse::<Arguments>(arguments)?;
    if let Some(path) = &arguments.info {
        print!("{}", tpuc_bmodel::describe(&read(path)?));
    } else if let Some(path) = &arguments.print {
        print!("{}", tpuc_bmodel::describe_in_full(&read(path)?));
    } else if let Some(path) = &arguments.disassemble {
        print!("{}", disassemble(&read(path)?).map_err(|e| Failure::work(format!("{}: {e}", path.display())))?);
    } else if let Some(path) = &arguments.check_hazards {
        check_hazards(path)?;
    } else if let Some(path) = &arguments.kernel_remove {
        let mut model = read(path)?;
        let output = arguments.output.as_ref().unwrap_or(path);
        cli::check_output(output)?;
        let found = tpuc_bmodel::strip_kernel_module(&mut model);
        tpuc_tensor::file::write(output, &tpuc_bmodel::write(&model)?)?;
        println!("{}: {}", output.display(), if found { "firmware removed" } else { "there was no firmware" });
    } else {
        let output = arguments.output.ok_or_else(|| Failure::usage("--combine needs -o FILE"))?;
        cli::check_output(&output)?;
        let models = arguments.combine.iter().map(|p| read(p)).collect::<Result<Vec<_>, _>>()?;
        tpuc_tensor::file::write(&output, &tpuc_bmodel::write(&tpuc_bmodel::combine(models)?)?)?;
    }
    Ok(())
}

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

fn disassemble(model: &Model) -> Result<String, String> {
    check_chip(model)?;
    let mut text = String::new();
    for Place { name, group } in groups(model) {
        let at = |e: String| format!("{name}: {e}");
        let tiu = decode("TIU", &group.tiu, group.tiu_count, decode_tiu).map_err(at)?;
        let dma = decode("DMA", &group.dma, group.dma_count, decode_dma).map_err(at)?;
        listing(&mut text, &format!("{name}: TIU, {} commands, {} bytes", tiu.len(), group.tiu.len()), &tiu);
        listing(&mut text, &format!("{name}: DMA, {} commands, {} bytes", dma.len(), group.dma.len()), &dma);
    }
    Ok(text)
}

fn listing<I: Display>(text: &mut String, title: &str, commands: &[(Header, I)]) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# {title}");
    commands.iter().for_each(|(header, inst)| writeln!(text, "{}", listing_line(header, inst)).unwrap_or(()));
}

fn check_hazards(path: &Path) -> Result<(), Failure> {
    let model = read(path)?;
    let named = |e: String| Failure::work(format!("{}: {e}", path.display()));
    check_chip(&model).map_err(named)?;
    let (mut commands, mut found) = (0, 0);
    for Place { name, group } in groups(&model) {
        let at = |e: String| named(format!("{name}: {e}"));
        let tiu = decode("TIU", &group.tiu, group.tiu_count, decode_tiu).map_err(at)?;
        let dma = decode("DMA", &group.dma, group.dma_count, decode_dma).map_err(at)?;
        let tiu: Vec<_> = tiu.iter().map(|(h, i)| access::tiu_command(h, i)).collect();
        let dma: Vec<_> = dma.iter().map(|(h, i)| access::dma_command(h, i)).collect();
        let hazards = hazards::verify(&tiu, &dma);
        hazards.iter().for_each(|h| println!("{name}: {h}"));
        commands += tiu.len() + dma.len();
        found += hazards.len();
    }
    if found == 0 {
        println!("{commands} commands, no hazards");
        return Ok(());
    }
    let more = if found >= hazards::MAX_HAZARDS { " or more" } else { "" };
    Err(named(format!("{found}{more} hazards in {commands} commands")))
}
