//! What writes files: combined, taken apart, with other weights or firmware.

use super::{Arguments, read};
use crate::cli::{self, Failure, Talk};
use serde_json::json;
use std::path::{Path, PathBuf};
use tpuc_bmodel::{BmodelError, Model, Module};

/// The names in a folder of the documents.
const COMPILATION: &str = "compilation.bmodel";
const REFERENCES: [&str; 2] = ["input_ref_data.dat", "output_ref_data.dat"];

pub fn run(arguments: &Arguments, talk: Talk) -> Result<(), Failure> {
    let output = arguments.output.as_deref();
    let needed = |what: &str| output.ok_or_else(|| Failure::usage(format!("{what} needs -o")));
    let in_place = |path| output.unwrap_or(path);
    let mut files = Vec::new();
    let batch = tpuc_tensor::file::Batch::begin();
    if !arguments.combine.is_empty() {
        files.push(combine(&arguments.combine, needed("--combine")?, tpuc_bmodel::combine)?);
    } else if !arguments.combine_coeff.is_empty() {
        files.push(combine(&arguments.combine_coeff, needed("--combine_coeff")?, tpuc_bmodel::combine_same_coeff)?);
    } else if !arguments.combine_dir.is_empty() {
        files = combine_folders(&arguments.combine_dir, needed("--combine_dir")?)?;
    } else if let Some(path) = &arguments.extract {
        files = extract(path, output.unwrap_or(Path::new("")))?;
    } else if let Some(path) = &arguments.refresh {
        files.push(save(&read(path)?, in_place(path))?);
    } else if let [path, offset, size, target] = arguments.dump.as_slice() {
        files.push(dump(path.as_ref(), offset, size, target.as_ref())?);
    } else if let [path, net, offset, source, source_net, source_offset] = arguments.update_weight.as_slice() {
        let (at, from) = (number("--update_weight", offset)?, number("--update_weight", source_offset)?);
        let bytes = tpuc_bmodel::weight_at(&read(source.as_ref())?, source_net, from).map_err(|e| named(source.as_ref(), e))?;
        let mut model = read(path.as_ref())?;
        tpuc_bmodel::set_weight_at(&mut model, net, at, &bytes).map_err(|e| named(path.as_ref(), e))?;
        files.push(save(&model, in_place(path.as_ref()))?);
    } else if let Some(path) = &arguments.kernel_dump {
        let output = needed("--kernel_dump")?;
        let kernel = read(path)?.kernel_module.ok_or_else(|| Failure::work(format!("{}: has no firmware", path.display())))?;
        files.push(write(output, &kernel.binary)?);
    } else if let [path, kernel] = arguments.kernel_update.as_slice() {
        let mut model = read(path)?;
        if model.chip == tpuc_isa::bm1684x::CHIP.name {
            return Err(Failure::work(format!("{}: the runtime of {} has its own firmware, none goes into the file", path.display(), model.chip)));
        }
        cli::check_input(kernel)?;
        let file_name = kernel.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        model.kernel_module = Some(Module { file_name, binary: tpuc_tensor::file::read(kernel)?.into(), mode: 0 });
        files.push(save(&model, in_place(path))?);
    } else if let Some(path) = &arguments.kernel_remove {
        let mut model = read(path)?;
        let found = tpuc_bmodel::strip_kernel_module(&mut model);
        files.push(save(&model, in_place(path))?);
        talk.say(if found { "firmware removed" } else { "there was no firmware" });
    } else {
        return Err(Failure::usage(super::ACTIONS));
    }
    batch.commit()?;
    files.iter().for_each(|f| talk.say(format_args!("Success: wrote [{}].", f.display())));
    talk.result("model_tool", true, json!({ "files": files }));
    Ok(())
}

fn named(path: &Path, error: BmodelError) -> Failure {
    Failure::work(format!("{}: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<PathBuf, Failure> {
    cli::check_output(path)?;
    tpuc_tensor::file::write(path, bytes)?;
    Ok(path.to_path_buf())
}

fn save(model: &Model, path: &Path) -> Result<PathBuf, Failure> {
    write(path, &tpuc_bmodel::write(model)?)
}

fn combine(files: &[PathBuf], output: &Path, body: fn(Vec<Model>) -> Result<Model, BmodelError>) -> Result<PathBuf, Failure> {
    cli::check_output(output)?;
    let models = files.iter().map(|p| read(p)).collect::<Result<Vec<_>, _>>()?;
    save(&body(models)?, output)
}

/// The bmodels of all folders as one, and their reference data one after the other.
fn combine_folders(folders: &[PathBuf], output: &Path) -> Result<Vec<PathBuf>, Failure> {
    cli::check_output(&output.join(COMPILATION))?;
    let models: Vec<PathBuf> = folders.iter().map(|f| f.join(COMPILATION)).collect();
    let mut written = vec![combine(&models, &output.join(COMPILATION), tpuc_bmodel::combine)?];
    for name in REFERENCES {
        let parts: Vec<PathBuf> = folders.iter().map(|f| f.join(name)).collect();
        // Without --test_input there is no such data.
        if parts.iter().all(|p| !p.exists()) {
            continue;
        }
        let parts = parts.iter().map(|p| tpuc_tensor::file::read(p)).collect::<Result<Vec<_>, _>>()?;
        written.push(write(&output.join(name), &parts.concat())?);
    }
    Ok(written)
}

fn extract(path: &Path, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let model = read(path)?;
    let parts = tpuc_bmodel::extract(&model);
    parts.iter().map(|(net, stage, part)| save(part, &folder.join(format!("bm_net{net}_stage{stage}.bmodel")))).collect()
}

fn dump(path: &Path, offset: &str, size: &str, target: &Path) -> Result<PathBuf, Failure> {
    let (offset, size) = (number("--dump", offset)?, number("--dump", size)?);
    cli::check_input(path)?;
    let bytes = tpuc_tensor::file::read(path)?;
    let data = tpuc_bmodel::binary_section(&bytes).map_err(|e| named(path, e))?;
    let range = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(usize::try_from(size).ok()?)?));
    let part = range.and_then(|r| data.get(r)).ok_or_else(|| Failure::work(format!("{}: {size} bytes at {offset} reach over its {} bytes of data", path.display(), data.len())))?;
    write(target, part)
}

/// `4096` or `0x1000`.
fn number(option: &str, text: &str) -> Result<u64, Failure> {
    let parsed = text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok());
    parsed.ok_or_else(|| Failure::usage(format!("{option}: '{text}' is not a number of bytes")))
}
