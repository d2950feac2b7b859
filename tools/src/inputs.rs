//! What the user gives a network to run on: a picture, a npy file, or a npz file.

use crate::cli::{self, Failure};
use std::path::Path;
use tpuc_imageio::samples::{NetInput, SampleKind};
use tpuc_runtime::{NamedTensor, TensorInfo};
use tpuc_tensor::{DType, Tensor, npz};

/// The tensors of a network's inputs, in their order, from one npz file or from one file an input.
///
/// Pictures are preprocessed as the input says; a picture fills the whole batch.
pub fn load(inputs: &[NetInput], files: &[String]) -> Result<Vec<NamedTensor>, Failure> {
    if let [file] = files
        && SampleKind::of(Path::new(file)) == Some(SampleKind::Npz)
    {
        return from_npz(inputs, Path::new(file));
    }
    if files.len() != inputs.len() {
        let names: Vec<_> = inputs.iter().map(|i| i.name.as_str()).collect();
        return Err(Failure::usage(format!("{} input files for a network of {} inputs ({}); give one file an input, or one npz file", files.len(), inputs.len(), names.join(", "))));
    }
    inputs.iter().zip(files).map(|(input, file)| Ok((input.name.clone(), one(input, Path::new(file))?))).collect()
}

fn one(input: &NetInput, file: &Path) -> Result<Tensor, Failure> {
    match SampleKind::of(file) {
        Some(SampleKind::Image) => picture(input, file),
        Some(SampleKind::Npy) => fitting(input, file, npz::read_npy(file)?),
        Some(SampleKind::Npz) => match from_npz(std::slice::from_ref(input), file)?.pop() {
            Some((_, tensor)) => Ok(tensor),
            None => Err(Failure::work(format!("{}: holds no array", file.display()))),
        },
        Some(SampleKind::Yuv) | None => Err(Failure::work(format!("{}: not a picture (jpg, png, bmp), npy or npz file", file.display()))),
    }
}

fn picture(input: &NetInput, file: &Path) -> Result<Tensor, Failure> {
    let preprocess = input.preprocess.as_ref();
    let preprocess = preprocess.ok_or_else(|| Failure::work(format!("{}: input '{}' of shape {:?} is not a picture; give a npy or npz file", file.display(), input.name, input.shape)))?;
    let one = preprocess.run(file).map_err(|e| cli::named(file, e))?;
    filled(&input.shape, &preprocess.shape(), one).ok_or_else(|| cli::named(file, format!("gives shape {:?}, input '{}' has shape {:?}", preprocess.shape(), input.name, input.shape)))
}

/// One picture of shape `[1, ...]` for a whole batch; `None` where the other dimensions differ.
pub fn filled(shape: &[usize], picture: &[usize; 4], values: Vec<f32>) -> Option<Tensor> {
    let (&batch, rest) = shape.split_first()?;
    if rest != &picture[1..] {
        return None;
    }
    Tensor::f32(shape, values.repeat(batch)).ok()
}

/// An error where a model takes frames of bytes (`model_deploy --fuse_preprocess`) and what is known of its input is how pictures are
/// preprocessed outside of it.
pub fn refuse_frames(model: &Path, info: &TensorInfo, known: Option<&str>) -> Result<(), Failure> {
    let frames = info.dtype == DType::U8 && info.name.ends_with("_raw");
    match frames && known != Some(info.name.as_str()) {
        true => Err(Failure::usage(format!("{}: its input '{}' takes frames of bytes (--fuse_preprocess), of a format that only the lowered network's .mlir says (model_deploy --debug writes it)", model.display(), info.name))),
        false => Ok(()),
    }
}

fn from_npz(inputs: &[NetInput], file: &Path) -> Result<Vec<NamedTensor>, Failure> {
    let mut arrays = npz::read_npz(file)?;
    if let ([input], [_]) = (inputs, arrays.as_slice()) {
        let (name, tensor) = arrays.remove(0);
        if name != input.name {
            eprintln!("warning: {}: {}", file.display(), taken(&name, &input.name));
        }
        return Ok(vec![(input.name.clone(), fitting(input, file, tensor)?)]);
    }
    let mut tensors = Vec::new();
    for input in inputs {
        let Some(at) = arrays.iter().position(|(name, _)| *name == input.name) else {
            let names: Vec<_> = arrays.iter().map(|(n, _)| n.as_str()).collect();
            return Err(Failure::work(format!("{}: no array for input '{}'; it has: {}", file.display(), input.name, names.join(", "))));
        };
        tensors.push((input.name.clone(), fitting(input, file, arrays[at].1.clone())?));
    }
    Ok(tensors)
}

/// What to say of an only array that has another name than the only input.
pub fn taken(array: &str, input: &str) -> String {
    format!("its only array '{array}' is taken for the network's only input '{input}'")
}

fn fitting(input: &NetInput, file: &Path, tensor: Tensor) -> Result<Tensor, Failure> {
    let found = tensor.shape().to_vec();
    let wrong = || Failure::work(format!("{}: has shape {found:?}, input '{}' has shape {:?}", file.display(), input.name, input.shape));
    // A missing or additional dimension of 1 is no reason to refuse.
    let squeezed = |shape: &[usize]| shape.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
    if squeezed(&found) != squeezed(&input.shape) {
        return Err(wrong());
    }
    tensor.reshaped(&input.shape).map_err(|_| wrong())
}
