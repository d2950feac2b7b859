//! What changes files: tensors taken out, put in, renamed, reshaped, converted. Files are replaced as a whole.

use super::{Arrays, Command, integers, one, position, read};
use crate::cli::{self, Failure, Talk};
use half::{bf16, f16};
use serde_json::json;
use std::path::{Path, PathBuf};
use tpuc_tensor::{Data, Tensor, npz};

/// Where the result goes.
#[derive(clap::Args)]
pub struct Place {
    /// Write this file and leave the input as it is
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

impl Place {
    fn or<'a>(&'a self, file: &'a Path) -> &'a Path {
        self.output.as_deref().unwrap_or(file)
    }
}

pub fn run(command: Command, talk: Talk) -> Result<(), Failure> {
    match command {
        Command::Extract { file, output, names } => save(&output, &select(&file, &names, true)?, talk),
        Command::Remove { file, names, place } => save(place.or(&file), &select(&file, &names, false)?, talk),
        Command::Insert { file, output } => save(&output, &merge(&[&output, &file])?, talk),
        Command::Merge { files } => match files.split_last() {
            Some((output, inputs)) => save(output, &merge(&inputs.iter().map(PathBuf::as_path).collect::<Vec<_>>())?, talk),
            None => Err(Failure::usage("merge: needs input files and an output")),
        },
        Command::Rename { file, from, to, place } => save(place.or(&file), &rename(&file, &from, &to)?, talk),
        Command::Reshape { file, name, shape, place } => save(place.or(&file), &reshape(&file, &name, &shape)?, talk),
        Command::Permute { file, what, place } => save(place.or(&file), &permute(&file, &what)?, talk),
        Command::Bf16ToFp32 { file, output } => convert(&file, &output, talk, |t| t.as_u16().map(|v| Data::F32(v.iter().map(|&b| bf16::from_bits(b).to_f32()).collect()))),
        Command::Fp16ToFp32 { file, output } => convert(&file, &output, talk, |t| t.as_u16().map(|v| Data::F32(v.iter().map(|&b| f16::from_bits(b).to_f32()).collect()))),
        Command::Fp32ToBf16 { file, output } => convert(&file, &output, talk, |t| t.as_f32().map(|v| Data::U16(v.iter().map(|&x| bf16::from_f32(x).to_bits()).collect()))),
        Command::Fp32ToFp16 { file, output } => convert(&file, &output, talk, |t| t.as_f32().map(|v| Data::U16(v.iter().map(|&x| f16::from_f32(x).to_bits()).collect()))),
        Command::ToBin { file, name, output, dtype } => to_bin(&file, &name, &output, dtype.as_deref(), talk),
        Command::ToDat { file, output } => raw(&output, read(&file)?.iter().flat_map(|(_, t)| t.to_le_bytes()).collect(), talk),
        Command::ToNpy { file, name, output } => {
            // Names of layers have slashes.
            let output = output.unwrap_or_else(|| PathBuf::from(format!("{}.npy", name.replace('/', "_"))));
            raw(&output, npz::format_npy(&one(&file, &name)?), talk)
        }
        // The others only look.
        _ => Ok(()),
    }
}

fn save(path: &Path, arrays: &Arrays, talk: Talk) -> Result<(), Failure> {
    cli::check_output(path)?;
    npz::write_npz(path, arrays.iter().map(|(n, t)| (n.as_str(), t)))?;
    talk.say(format_args!("Saving {}: {} tensors", path.display(), arrays.len()));
    talk.result("npz_tool", true, json!({ "output": path, "tensors": arrays.iter().map(|(n, _)| n).collect::<Vec<_>>() }));
    Ok(())
}

fn raw(path: &Path, bytes: Vec<u8>, talk: Talk) -> Result<(), Failure> {
    cli::check_output(path)?;
    tpuc_tensor::file::write(path, &bytes)?;
    talk.say(format_args!("Saving {}: {} bytes", path.display(), bytes.len()));
    talk.result("npz_tool", true, json!({ "output": path, "bytes": bytes.len() }));
    Ok(())
}

fn select(file: &Path, names: &str, keep: bool) -> Result<Arrays, Failure> {
    let arrays = read(file)?;
    // A name may have commas in it.
    let names = if arrays.iter().any(|(n, _)| n == names) { vec![names.to_owned()] } else { cli::list(names) };
    names.iter().try_for_each(|n| position(file, n, &arrays).map(drop))?;
    Ok(arrays.into_iter().filter(|(n, _)| names.contains(n) == keep).collect())
}

/// The tensors of all files; a later one replaces an earlier one of its name.
fn merge(files: &[&Path]) -> Result<Arrays, Failure> {
    let mut all: Arrays = Vec::new();
    for file in files {
        for (name, tensor) in read(file)? {
            match all.iter_mut().find(|(n, _)| *n == name) {
                Some(old) => old.1 = tensor,
                None => all.push((name, tensor)),
            }
        }
    }
    Ok(all)
}

fn rename(file: &Path, from: &str, to: &str) -> Result<Arrays, Failure> {
    let mut arrays = read(file)?;
    let at = position(file, from, &arrays)?;
    if from != to && arrays.iter().any(|(n, _)| n == to) {
        return Err(Failure::work(format!("{}: there is a tensor '{to}' already", file.display())));
    }
    arrays[at].0 = to.to_owned();
    Ok(arrays)
}

fn reshape(file: &Path, name: &str, shape: &str) -> Result<Arrays, Failure> {
    let wanted = integers("shape", shape)?;
    let mut arrays = read(file)?;
    let at = position(file, name, &arrays)?;
    let tensor = &arrays[at].1;
    let wrong = || Failure::work(format!("{}: '{name}' has shape {:?}, which cannot become {shape}", file.display(), tensor.shape()));
    let known = wanted.iter().filter(|&&d| d >= 0).try_fold(1usize, |a, &d| a.checked_mul(d as usize)).ok_or_else(wrong)?;
    let open = wanted.iter().filter(|&&d| d < 0).count();
    if open > 1 || wanted.iter().any(|&d| d < -1) || (open == 1 && (known == 0 || !tensor.len().is_multiple_of(known))) {
        return Err(wrong());
    }
    let dims: Vec<usize> = wanted.iter().map(|&d| if d < 0 { tensor.len() / known } else { d as usize }).collect();
    let reshaped = tensor.clone().reshaped(&dims).map_err(|_| wrong())?;
    arrays[at].1 = reshaped;
    Ok(arrays)
}

fn permute(file: &Path, what: &[String]) -> Result<Arrays, Failure> {
    let (name, order) = match what {
        [order] => (None, order),
        [name, order] => (Some(name), order),
        _ => return Err(Failure::usage("permute: needs FILE [NAME] ORDER")),
    };
    let axes = integers("order", order)?;
    let mut arrays = read(file)?;
    let chosen = match name {
        Some(name) => vec![position(file, name, &arrays)?],
        None => (0..arrays.len()).collect(),
    };
    for at in chosen {
        let (name, tensor) = &arrays[at];
        let wrong = || Failure::work(format!("{}: '{name}' has {} dimensions, which {order} does not permute", file.display(), tensor.shape().len()));
        arrays[at].1 = permuted(tensor, &axes).ok_or_else(wrong)?;
    }
    Ok(arrays)
}

/// Dimension `i` of the result is dimension `order[i]` of the tensor; `None` where that is no order of its dimensions.
fn permuted(tensor: &Tensor, order: &[i64]) -> Option<Tensor> {
    let rank = tensor.shape().len();
    let axes: Vec<usize> = order.iter().map(|&a| if a < 0 { a + rank as i64 } else { a }).map(|a| usize::try_from(a).ok().filter(|&a| a < rank)).collect::<Option<_>>()?;
    let mut seen = vec![false; rank];
    axes.iter().for_each(|&a| seen[a] = true);
    if axes.len() != rank || !seen.iter().all(|&s| s) {
        return None;
    }
    let size = tensor.dtype().size();
    let bytes = tensor.to_le_bytes();
    let mut strides = vec![size; rank];
    for d in (1..rank).rev() {
        strides[d - 1] = strides[d] * tensor.shape()[d];
    }
    let shape: Vec<usize> = axes.iter().map(|&a| tensor.shape()[a]).collect();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = vec![0usize; rank];
    for _ in 0..tensor.len() {
        let at: usize = index.iter().zip(&axes).map(|(i, &a)| i * strides[a]).sum();
        out.extend_from_slice(&bytes[at..at + size]);
        for d in (0..rank).rev() {
            index[d] += 1;
            if index[d] < shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
    Tensor::from_le_bytes(&shape, tensor.dtype(), &out).ok()
}

/// Converts the tensors that `body` has an answer for; the others stay.
fn convert(file: &Path, output: &Path, talk: Talk, body: impl Fn(&Tensor) -> Option<Data>) -> Result<(), Failure> {
    let one = |(name, tensor): (String, Tensor)| {
        let converted = body(&tensor).and_then(|data| Tensor::new(tensor.shape(), data).ok());
        (name, converted.unwrap_or(tensor))
    };
    save(output, &read(file)?.into_iter().map(one).collect(), talk)
}

fn to_bin(file: &Path, name: &str, output: &Path, dtype: Option<&str>, talk: Talk) -> Result<(), Failure> {
    let tensor = one(file, name)?;
    // Integers wrap, as in NumPy.
    let integers = || tensor.to_i64().unwrap_or_else(|| tensor.to_f32().into_iter().map(|v| v as i64).collect()).into_iter();
    let bytes: Vec<u8> = match dtype {
        None => tensor.to_le_bytes(),
        Some("int8") => integers().map(|v| v as u8).collect(),
        Some("uint16" | "bf16") => integers().flat_map(|v| (v as u16).to_le_bytes()).collect(),
        Some("float32") => tensor.to_f32().into_iter().flat_map(f32::to_le_bytes).collect(),
        Some(other) => return Err(Failure::usage(format!("to_bin: unknown element type '{other}', expected int8, uint16, bf16 or float32"))),
    };
    raw(output, bytes, talk)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn permutes() {
        let tensor = Tensor::i16(&[2, 3], vec![1, 2, 3, 4, 5, 6]).unwrap();
        let turned = Tensor::i16(&[3, 2], vec![1, 4, 2, 5, 3, 6]).unwrap();
        assert_eq!(permuted(&tensor, &[1, 0]), Some(turned.clone()));
        assert_eq!(permuted(&tensor, &[-1, 0]), Some(turned));
        for wrong in [&[0, 0][..], &[0], &[0, 2], &[0, 1, 2]] {
            assert_eq!(permuted(&tensor, wrong), None);
        }
    }
}
