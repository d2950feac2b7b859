//! Preprocessing moves into the network: in front of each input that is a picture stands a Preprocess, and what arrives is the
//! frame's bytes.

use crate::chip::Mode;
use tpuc_ops::preprocess::{FrameFormat, Frames};
use tpuc_ops::{Elem, Op, OpError, Program, TensorType, ValueId, top};
use tpuc_tensor::DType;

/// The network's inputs are not such that frames can become them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FuseError {
    #[error("no input is a picture with its preprocessing ({}); model_transform sets it (--pixel_format, --mean, --scale)", inputs.join(", "))]
    NoPreprocess { inputs: Vec<String> },
    #[error("input '{input}': {reason}")]
    Input { input: String, reason: String },
    #[error(transparent)]
    Program(#[from] OpError),
}

/// Every picture input becomes `<name>_raw`, frames of `format` (of the network's own pixels where none is given), and a
/// `<name>_preprocess` in its place, in `mode`. Other inputs stay.
pub fn fuse_preprocess(program: &Program, mode: Mode, format: Option<FrameFormat>) -> Result<Program, FuseError> {
    let mut out = Program::new(program.name.clone());
    out.attrs = program.attrs.clone();
    let mut moved: Vec<Option<ValueId>> = vec![None; program.values.len()];
    let mut fused = 0;
    for &argument in &program.inputs {
        let value = program.value(argument);
        let ty = program.tensor_type(argument).cloned().unwrap_or_else(|| TensorType::f32(&[]));
        let reader = program.nodes.iter().find(|n| n.operands.contains(&argument));
        let frame = match reader.map(|n| (&n.op, n.results.first().and_then(|&r| program.tensor_type(r)))) {
            Some((Op::TopInput(op), Some(result))) => {
                let frame = Frame::of(op, result, mode, format).map_err(|reason| FuseError::Input { input: value.name.clone(), reason })?;
                frame.map(|frame| (frame, result.clone()))
            }
            _ => None,
        };
        let Some((frame, result)) = frame else {
            moved[argument.index()] = Some(out.add_input(value.name.clone(), ty));
            continue;
        };
        fused += 1;
        let name = &value.name;
        let raw = out.add_input(format!("{name}_raw"), TensorType::new(&frame.shape, Elem::Plain(DType::U8)));
        let bytes = TensorType::new(&frame.shape, Elem::symmetric(DType::U8, 1.0));
        let input = out.push(frame.input, &[raw], format!("{name}_raw"), bytes);
        let preprocessed = out.push(frame.preprocess, &[input], format!("{name}_preprocess"), result);
        moved[argument.index()] = Some(preprocessed);
    }
    if fused == 0 {
        return Err(FuseError::NoPreprocess { inputs: program.inputs.iter().map(|&i| program.value(i).name.clone()).collect() });
    }
    copy_nodes(program, &mut out, &mut moved);
    out.check()?;
    Ok(out)
}

/// The nodes of `program` behind `out`'s, but for Inputs of arguments that have been replaced.
fn copy_nodes(program: &Program, out: &mut Program, moved: &mut [Option<ValueId>]) {
    for node in &program.nodes {
        let operands: Vec<ValueId> = node.operands.iter().map(|&id| find(program, out, moved, id)).collect();
        let replaced = matches!(node.op, Op::TopInput(_)) && operands.first().is_some_and(|&o| out.producer(o).is_some());
        if let (true, [operand], [result]) = (replaced, operands.as_slice(), node.results.as_slice()) {
            moved[result.index()] = Some(*operand);
            continue;
        }
        let results = node.results.iter().map(|&r| (program.value(r).name.clone(), program.value(r).ty.clone())).collect();
        for (&old, new) in node.results.iter().zip(out.push_results(node.op.clone(), &operands, results)) {
            moved[old.index()] = Some(new);
        }
    }
    out.outputs = program.outputs.iter().map(|&id| find(program, out, moved, id)).collect();
}

fn find(program: &Program, out: &mut Program, moved: &mut [Option<ValueId>], id: ValueId) -> ValueId {
    if let Some(found) = moved[id.index()] {
        return found;
    }
    let value = program.value(id);
    let new = match program.tensor_type(id) {
        Some(ty) => out.add_weight(value.name.clone(), ty.clone()),
        None => out.none(),
    };
    moved[id.index()] = Some(new);
    new
}

/// What a picture input becomes.
struct Frame {
    shape: Vec<i64>,
    input: top::Input,
    preprocess: top::Preprocess,
}

impl Frame {
    /// `None` where the input is no picture.
    fn of(op: &top::Input, result: &TensorType, mode: Mode, format: Option<FrameFormat>) -> Result<Option<Frame>, String> {
        let (Some(pixel_format), Some(mean), Some(scale)) = (&op.pixel_format, &op.mean, &op.scale) else { return Ok(None) };
        let channel_format = op.channel_format.as_deref().unwrap_or("nchw");
        if channel_format == "none" {
            return Ok(None);
        }
        let &[batch, _, h, w] = result.shape.as_slice() else {
            return Err(format!("has shape {:?}, expected [N, C, H, W]", result.shape));
        };
        if channel_format == "nhwc" {
            return Err("the network takes its channels last (channel_format nhwc); only pictures in planes are fused".into());
        }
        let format = match format {
            Some(format) => format,
            None => FrameFormat::of_network(pixel_format, channel_format).ok_or_else(|| format!("no format of frames is known for pixel_format '{pixel_format}'; give one"))?,
        };
        let resize_dims = op.resize_dims.clone().filter(|d| d.len() == 2).unwrap_or_else(|| vec![h, w]);
        let preprocess = top::Preprocess {
            quant_mode: mode.base().name().to_owned(),
            customization_format: format.name().to_owned(),
            channel_order: pixel_format.clone(),
            resize_dims: resize_dims.clone(),
            mean: mean.clone(),
            scale: scale.clone(),
            sign: mode != Mode::Int8 || result_is_signed(result),
        };
        let frames = Frames::of(&preprocess, &result.shape)?;
        let planes = if format == FrameFormat::RgbaPlanar { 4 } else { 3 };
        let input = top::Input {
            do_preprocess: true,
            pixel_format: Some(format.pixel_format().to_owned()),
            channel_format: Some(if format.is_packed() { "nhwc" } else { "nchw" }.to_owned()),
            mean: Some(vec![0.0; mean.len().max(planes)]),
            scale: Some(vec![1.0; scale.len().max(planes)]),
            customization_format: Some(format.name().to_owned()),
            resize_dims: Some(resize_dims),
            ..op.clone()
        };
        Ok(Some(Frame { shape: format.shape(batch, frames.size)?, input, preprocess }))
    }
}

fn result_is_signed(result: &TensorType) -> bool {
    !matches!(result.elem, Elem::Calibrated { min, .. } if min >= 0.0)
}
